import NIOCore
import NIOHTTP1
import SpringgCluster
import SpringgLog

/// What becomes of a request once its head is there.
enum Admission {
    /// The body is wanted; the permit is what the request holds of a limited resource until it is answered.
    case target(Target, Permit?)
    /// The answer is clear without the body.
    case answer(Answer)
}

extension Worker {
    /// Bytes of a body for one vector.
    ///
    /// Room for 65,536 numbers with every digit written out, the largest metadata, and as much again for white space;
    /// the smaller it is, the less many connections can make the server hold.
    static let vectorBodyBytesMax = 8 << 20
    /// Bytes of a body when there is no limit: a buffer counts in 32 bits.
    private static let bodyBytesCeiling = 1 << 30

    /// Bytes that a request's body may have.
    func bodyLimit(of endpoint: Endpoint) -> Int {
        // What nodes send each other has a bound of its own: a limit for clients must not end replication.
        if endpoint == .shipLog || endpoint == .pullLog {
            return EventsMessage.bytesMax
        }
        let limit = context.limits.bodyBytesMax
        guard limit > 0 else {
            return Self.bodyBytesCeiling
        }
        return min(limit, endpoint.takesManyVectors ? Self.bodyBytesCeiling : Self.vectorBodyBytesMax)
    }

    /// Applies what can be decided by address, head and token, cheapest first.
    ///
    /// `endpoint` is set as soon as it is known, so that a refusal is counted where it belongs.
    func admit(
        _ head: HTTPRequestHead,
        from peer: RemotePeer,
        now: NIODeadline,
        endpoint: inout Endpoint?
    ) throws(RequestError) -> Admission {
        endpoint = nil
        let peer = context.limits.trustedProxies.client(head.headers, from: peer)
        if let limiter = context.limiter, let key = peer.key, !isFromNode(head, peer),
            !limiter.admit(key, now: now.uptimeNanoseconds)
        {
            var answer = Answer.text(.tooManyRequests, "Rate limit exceeded")
            answer.retryAfterSeconds = 1
            answer.limit = .rate
            return .answer(answer)
        }
        if head.method == .OPTIONS, head.headers.contains(name: "access-control-request-method") {
            var answer = Answer.empty(.ok)
            answer.isPreflight = true
            return .answer(answer)
        }
        switch Router.route(method: head.method, uri: head.uri) {
        case .target(let target):
            endpoint = target.endpoint
            try authorize(target, head, from: peer)
            guard context.isOpen || target.endpoint.answersWhileStarting else {
                let text = "Server is starting: \(context.startText)"
                throw RequestError(.serviceUnavailable, text, code: .starting, retryAfterSeconds: 1)
            }
            return .target(target, try permit(for: target.endpoint))
        case .notFound:
            return .answer(.text(.notFound, "404 page not found"))
        case .methodNotAllowed(let allow):
            var answer = Answer.empty(.methodNotAllowed)
            answer.allow = allow
            return .answer(answer)
        case .malformed:
            throw .badRequest("malformed path: a % must be followed by two hex digits")
        }
    }

    /// True for what a node with its token sends: a limit of requests a second would cut replication off.
    ///
    /// Whoever else asks for those paths is counted, so that nobody tries tokens faster than requests.
    private func isFromNode(_ head: HTTPRequestHead, _ peer: RemotePeer) -> Bool {
        guard Router.isBetweenNodes(head.uri),
            case .target(let target) = Router.route(method: head.method, uri: head.uri)
        else {
            return false
        }
        return (try? authorize(target, head, from: peer)) != nil
    }

    private func authorize(
        _ target: Target,
        _ head: HTTPRequestHead,
        from peer: RemotePeer
    ) throws(RequestError) {
        guard let scope = target.endpoint.scope else {
            return
        }
        if target.endpoint.isOpenToLoopback, peer.isLoopback {
            return
        }
        try authenticator.authorize(
            scope,
            index: target.index,
            authorization: head.headers.first(name: "authorization"),
            now: CivilTime.now()
        )
    }

    /// Holds bulk requests back before their bodies are sent, so that a refusal costs neither side the upload.
    private func permit(for endpoint: Endpoint) throws(RequestError) -> Permit? {
        guard endpoint == .bulkAdd else {
            return nil
        }
        let threshold = context.limits.bulkCPUThresholdPercent
        let percent = context.cpu.percent
        if threshold > 0, percent > threshold {
            let tenths = Int((percent * 10).rounded())
            throw RequestError(
                .tooManyRequests,
                "Server overloaded (CPU: \(tenths / 10).\(tenths % 10)%), please retry",
                retryAfterSeconds: 5,
                limit: .bulkCPU
            )
        }
        guard let permits = context.bulkPermits else {
            return nil
        }
        guard let permit = permits.take() else {
            throw RequestError(
                .tooManyRequests,
                "Too many concurrent bulk requests, please retry",
                retryAfterSeconds: 2,
                limit: .bulkConcurrency
            )
        }
        return permit
    }
}
