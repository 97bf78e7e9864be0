import Logging
import NIOCore
import NIOHTTP1
import SpringgLog
import SpringgProjections

/// How answers leave, and how a connection ends.
extension HTTPConnection {
    /// Sends the answer to the current request and moves on.
    func send(_ answer: Answer, head: HTTPRequestHead? = nil) {
        if worker.isDraining {
            answerContext.keepAlive = false
        }
        var body = answer.body
        let response = body.prepend(head: worker.heads.encode(answer, answerContext))
        let wasReceiving = phase == .receiving
        worker.metrics.answered(
            endpoint,
            status: answer.status,
            nanoseconds: (NIODeadline.now() - started).nanoseconds
        )
        if let limit = answer.limit {
            worker.metrics.hit(limit)
        }
        if worker.context.logsRequests {
            log(head ?? request?.head, answer.status)
        }
        request = nil
        work = nil
        write(response)
        if !answerContext.keepAlive {
            linger()
        } else if wasReceiving {
            enter(.discarding, deadline: phaseDeadline)
        } else {
            becomeIdle()
        }
    }

    func becomeIdle() {
        let timeouts = worker.timeouts
        let patience = hasPartialRequest ? timeouts.read : timeouts.idle
        enter(.idle, deadline: NIODeadline.now().after(patience))
    }

    func write(_ bytes: ByteBuffer) {
        guard let context else {
            return
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        writesInFlight += 1
        if writesInFlight == 1 {
            writeDeadline = NIODeadline.now().after(worker.timeouts.write)
        }
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.wrote(result)
        }
        context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: promise)
    }

    private func wrote(_ result: Result<Void, any Error>) {
        writesInFlight -= 1
        writeDeadline =
            writesInFlight == 0 ? .distantFuture : NIODeadline.now().after(worker.timeouts.write)
        if case .failure = result {
            closeNow()
        } else if phase == .lingering, writesInFlight == 0 {
            closeOutput()
        }
    }

    /// Ends the connection in an orderly way: all answers out, then our end of the stream, then the client's.
    ///
    /// Closing at once would make the kernel answer unread input with a reset, and that may destroy an answer that the
    /// client has not read yet.
    private func linger() {
        guard phase != .closed else {
            return
        }
        enter(.lingering, deadline: .distantFuture)
        backlog.removeAll()
        if writesInFlight == 0 {
            closeOutput()
        }
    }

    private func closeOutput() {
        if sawEndOfInput {
            closeNow()
            return
        }
        phaseDeadline = .now() + (worker.isDraining ? Timeouts.lingerWhenDraining : Timeouts.linger)
        context?.close(mode: .output, promise: nil)
        // Nothing is held back any more: the end of the client's stream is what we wait for.
        holdsRead = false
        context?.read()
    }

    private func log(_ head: HTTPRequestHead?, _ status: HTTPResponseStatus) {
        let microseconds = (NIODeadline.now() - started).nanoseconds / 1000
        let request = head.map { "\($0.method.rawValue) \($0.uri)" } ?? "-"
        var metadata: Logger.Metadata = ["request_id": "\(answerContext.requestID)"]
        if let trace = answerContext.trace {
            metadata["trace_id"] = "\(trace.traceID)"
        }
        worker.context.logger.debug("\(request) \(status.code) \(microseconds)µs", metadata: metadata)
    }

    // MARK: Ends

    func checkDeadlines(_ now: NIODeadline) {
        if now >= writeDeadline {
            worker.metrics.hit(.writeTimeout)
            closeNow()
            return
        }
        guard now >= phaseDeadline else {
            return
        }
        switch phase {
        case .receiving where request?.stream?.isFull ?? false:
            // It is us who are slow.
            phaseDeadline = now.after(worker.timeouts.read)
        case .receiving:
            let text = "Request timeout: the request did not arrive in time"
            refuseRest(RequestError(.requestTimeout, text, limit: .readTimeout))
        case .processing:
            work?.cancel()
            refuseRest(RequestError(.gatewayTimeout, "Request timeout", limit: .requestTimeout))
            workOff()
        case .idle, .discarding, .blocked, .lingering, .closed:
            if isShakingHands {
                worker.metrics.hit(.readTimeout)
            }
            closeNow()
        }
    }

    /// Lets the current request finish and then closes; called once the server is to stop.
    func drain() {
        switch phase {
        case .idle where backlog.isEmpty:
            closeNow()
        case .idle, .receiving, .discarding, .blocked, .processing:
            answerContext.keepAlive = false
        case .lingering, .closed:
            ()
        }
    }

    func closeNow() {
        guard phase != .closed else {
            return
        }
        phase = .closed
        work?.cancel()
        // What the request holds goes before the client can see the end and come again.
        request = nil
        context?.close(mode: .all, promise: nil)
    }
}
