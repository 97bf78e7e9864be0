import NIOCore
import NIOHTTP1
import SpringgLog
import SpringgProjections

/// One client's connection: turns the decoder's parts into requests, one at a time, and sends their answers in order.
///
/// Pipelined requests wait in `backlog`, and nothing more is read from the socket while one is worked on, so a client
/// can make a server hold no more than what one read brings. They are taken up in a loop here, not by the answer of
/// the one before: a packet full of tiny requests must not become a stack full of frames.
///
/// Lives on one event loop.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests, or within the head of one.
        case idle
        /// The head is there and the body is arriving.
        case receiving
        /// Answered before the body was whole: the rest of it is thrown away.
        case discarding
        /// The request is whole, but the client has not read earlier answers.
        case blocked
        /// Waiting for the answer.
        case processing
        /// The last answer is sent; what still comes is thrown away until the client hangs up.
        case lingering
        case closed
    }

    enum Event {
        case part(HTTPServerRequestPart)
        case malformed(HTTPParserError)
    }

    /// The request being received or answered.
    struct Request {
        var head: HTTPRequestHead
        var target: Target
        var body: RequestBody
        var permit: Permit?
        /// Set for a body that is worked off while it arrives.
        var stream: BulkStream?
    }

    /// Bytes of an unwanted body that are read and thrown away for the sake of keeping the connection.
    private static let discardBytesMax = 64 << 10

    let worker: Worker
    private let peer: RemotePeer
    /// Given back when the connection is gone.
    private let permit: Permit?
    var context: ChannelHandlerContext?
    private var number = 0

    var phase = Phase.idle
    var request: Request?
    /// Ends what is being done for the request.
    var work: Cancellation?
    /// What the current request asks for, as far as it is known.
    var endpoint: Endpoint?
    /// Counts requests, so that an outcome that comes after its request was given up is recognised.
    private var requestNumber: UInt64 = 0
    var answerContext = HeadEncoder.Context()
    var backlog = CircularBuffer<Event>(initialCapacity: 0)
    private var isWorkingOff = false
    var holdsRead = false
    var sawEndOfInput = false
    /// Nothing can be asked yet: TLS is being agreed on.
    var isShakingHands: Bool

    /// True when bytes have come since the last whole request: a request has begun.
    var hasPartialRequest = false
    var started = NIODeadline.now()
    var phaseDeadline: NIODeadline
    var writeDeadline = NIODeadline.distantFuture
    var writesInFlight = 0

    init(worker: Worker, peer: RemotePeer, permit: Permit?, isSecure: Bool) {
        self.worker = worker
        self.peer = peer
        self.permit = permit
        isShakingHands = isSecure
        phaseDeadline = NIODeadline.now().after(isSecure ? worker.timeouts.read : worker.timeouts.idle)
    }

    /// Names the request being worked on.
    var ticket: Ticket {
        Ticket(connection: number, request: requestNumber, trace: answerContext.trace)
    }

    /// The address of this node that the client reached.
    var localAddress: String { context?.channel.localAddress?.ipAddress ?? "127.0.0.1" }

    /// The target of the request being worked on, as it was sent.
    var uri: String { request?.head.uri ?? "" }

    /// The query of the request's target.
    func query() throws(RequestError) -> QueryItems { try QueryItems(uri: uri) }

    /// What the request's body is.
    var mediaType: MediaType { request.map { MediaType($0.head.headers) } ?? .json }

    /// True when the request's body holds many replication messages: peers say so in a header.
    var isReplicationBatch: Bool { request?.head.headers.contains(name: "x-batch-size") ?? false }

    // MARK: From the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        number = worker.add(self)
        if worker.isDraining {
            closeNow()
        }
    }

    /// Comes for every channel that ends, also for one that has never become active.
    func handlerRemoved(context: ChannelHandlerContext) {
        work?.cancel()
        phase = .closed
        request = nil
        backlog.removeAll()
        worker.remove(number)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        take(.part(Self.unwrapInboundIn(data)))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            take(.malformed(error))
        } else if !(error is ByteToMessageDecoderError) {
            closeNow()
        }
        // Else the decoder got input after it had given up: that it has was said before, and is answered in its turn.
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandler.Ready {
            isShakingHands = false
            phaseDeadline = NIODeadline.now().after(worker.timeouts.idle)
            return
        }
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        sawEndOfInput = true
        switch phase {
        case .idle where backlog.isEmpty, .receiving, .discarding, .lingering:
            closeNow()
        case .idle, .blocked, .processing, .closed:
            // Requests that came before the end are still answered.
            ()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if phase == .blocked, context.channel.isWritable {
            dispatch()
            workOff()
        }
        context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
        if isBusy || !backlog.isEmpty || request?.stream?.isFull ?? false {
            holdsRead = true
        } else {
            context.read()
        }
    }

    /// Called for every piece of input before it is decoded.
    ///
    /// - Returns: False when the connection wants no more input.
    func inputArrived() -> Bool {
        switch phase {
        case .lingering, .closed:
            return false
        case .idle where !hasPartialRequest:
            phaseDeadline = NIODeadline.now().after(worker.timeouts.read)
        case .idle, .receiving, .discarding, .blocked, .processing:
            ()
        }
        hasPartialRequest = true
        return true
    }

    // MARK: Requests

    private var isBusy: Bool { phase == .processing || phase == .blocked }

    private func take(_ event: Event) {
        guard !isBusy, backlog.isEmpty, !isWorkingOff else {
            backlog.append(event)
            return
        }
        isWorkingOff = true
        handle(event)
        isWorkingOff = false
        workOff()
    }

    /// Takes up what has waited, until a request needs time; then lets the channel read on.
    func workOff() {
        guard !isWorkingOff else {
            return
        }
        isWorkingOff = true
        while !isBusy, let event = backlog.popFirst() {
            handle(event)
        }
        isWorkingOff = false
        guard !isBusy else {
            return
        }
        if sawEndOfInput, phase == .idle {
            closeNow()
        } else if holdsRead {
            holdsRead = false
            context?.read()
        }
    }

    private func handle(_ event: Event) {
        switch (event, phase) {
        case (_, .lingering), (_, .closed):
            ()
        case (.part(.head(let head)), _):
            begin(head)
        case (.part(.body(let part)), .receiving) where request?.stream != nil:
            stream(part)
        case (.part(.body(let part)), .receiving):
            do throws(RequestError) {
                try request?.body.append(part)
            } catch {
                answerContext.keepAlive = false
                send(.failure(error))
            }
        case (.part(.end), .receiving):
            hasPartialRequest = false
            if context?.channel.isWritable ?? false {
                dispatch()
            } else {
                enter(.blocked, deadline: .distantFuture)
            }
        case (.part(.end), .discarding):
            hasPartialRequest = false
            becomeIdle()
        case (.part, _):
            ()
        case (.malformed(let error), .idle), (.malformed(let error), .receiving):
            startRequest()
            answerContext = HeadEncoder.Context(keepAlive: false, requestID: worker.requestIDs.next())
            send(.failure(Self.malformed(error)))
        case (.malformed, _):
            closeNow()
        }
    }

    private static func malformed(_ error: HTTPParserError) -> RequestError {
        error == .headerOverflow
            ? RequestError(.requestHeaderFieldsTooLarge, "request head is too large", limit: .header)
            : .badRequest("malformed HTTP request")
    }

    private func startRequest() {
        requestNumber += 1
        endpoint = nil
        started = .now()
        worker.context.requests.count()
    }

    /// Looks at a head: either the body is wanted or the answer is clear already.
    private func begin(_ head: HTTPRequestHead) {
        startRequest()
        answerContext.isHTTP10 = head.version == .http1_0
        answerContext.hasOrigin = head.headers.contains(name: "origin")
        let requestID = head.headers.first(name: "x-request-id")
        answerContext.requestID =
            requestID.flatMap { RequestID.accepted($0) ? $0 : nil } ?? worker.requestIDs.next()
        let traces = head.headers["traceparent"]
        // Who sends two says nothing.
        answerContext.trace = traces.count == 1 ? TraceContext(traceparent: traces[0]) : nil
        // The decoder stops after a request to change the protocol, and we know no other.
        let wantsUpgrade = head.method == .CONNECT || head.headers.contains(name: "upgrade")
        answerContext.keepAlive = head.isKeepAlive && !wantsUpgrade && !worker.isDraining
        let bodyLength = head.headers.first(name: "content-length").flatMap(Int.init)
        let isChunked = head.headers.contains(name: "transfer-encoding")
        let expectsContinue = head.headers.first(name: "expect")?.lowercased() == "100-continue"
        do throws(RequestError) {
            switch try worker.admit(head, from: peer, now: started, endpoint: &self.endpoint) {
            case .target(let target, let permit):
                let stream = try worker.stream(target, head)
                let body = try RequestBody(
                    announced: stream != nil ? 0 : isChunked ? nil : bodyLength ?? 0,
                    limit: worker.bodyLimit(of: target.endpoint),
                    budget: worker.context.bodyBudget
                )
                self.request = Request(head: head, target: target, body: body, permit: permit, stream: stream)
                enterReceiving()
                if expectsContinue, isChunked || bodyLength ?? 0 > 0, head.version != .http1_0 {
                    write(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n"))
                }
            case .answer(let answer):
                refuse(head, with: answer, discarding: isChunked ? nil : bodyLength ?? 0, expectsContinue)
            }
        } catch {
            let keeps = error.status != .payloadTooLarge && error.status != .serviceUnavailable
            answerContext.keepAlive = answerContext.keepAlive && keeps
            refuse(
                head,
                with: .failure(error),
                discarding: isChunked ? nil : bodyLength ?? 0,
                expectsContinue
            )
        }
    }

    /// Answers without waiting for the body, and keeps the connection when what is left of it is little.
    ///
    /// - Parameters:
    ///   - head: What is refused.
    ///   - answer: With what.
    ///   - length: Bytes of the body that are still to come; nil when nobody knows.
    ///   - expects: True when the client waits for leave to send them, so that they may never come.
    private func refuse(_ head: HTTPRequestHead, with answer: Answer, discarding length: Int?, _ expects: Bool) {
        let isShort = length.map { $0 == 0 || $0 <= Self.discardBytesMax && !expects } ?? false
        answerContext.keepAlive = answerContext.keepAlive && isShort
        self.phase = .receiving
        send(answer, head: head)
    }

    private func enterReceiving() {
        // The deadline that began with the request's first byte stays.
        if !hasPartialRequest {
            phaseDeadline = started.after(worker.timeouts.read)
        }
        self.phase = .receiving
    }

    func enter(_ phase: Phase, deadline: NIODeadline) {
        self.phase = phase
        phaseDeadline = deadline
    }

    private func dispatch() {
        guard let request else {
            return
        }
        enter(.processing, deadline: NIODeadline.now().after(worker.timeouts.request))
        guard request.stream == nil else {
            self.request?.stream?.finish(worker.scratch)
            pump()
            return
        }
        do throws(RequestError) {
            if let held = try worker.mustHold(request.head, ticket), let context {
                return try worker.hold(held, on: context.eventLoop)
            }
        } catch {
            return finish(.failure(error))
        }
        work(on: request)
    }

    /// Goes on with a request that has waited for an event, or ends it.
    func resume(request number: UInt64, _ error: RequestError?) {
        guard self.phase == .processing, number == requestNumber, let request else {
            return
        }
        if let error {
            finish(.failure(error))
        } else {
            work(on: request)
        }
        workOff()
    }

    func work(on request: Request) {
        do throws(RequestError) {
            let answer = try Stage.work.measured { () throws(RequestError) in
                try worker.handle(
                    request.target,
                    body: request.body.buffer,
                    permit: request.permit,
                    from: self
                )
            }
            if let answer {
                finish(answer)
            }
        } catch {
            finish(.failure(error))
        }
    }

    /// Takes the outcome of a request that was worked on elsewhere.
    func complete(request: UInt64, _ outcome: Outcome) {
        if case .written(.stream, let results, let receipt) = outcome {
            if request == requestNumber, self.request?.stream != nil {
                self.request?.stream?.completed(results, receipt)
                pump()
                workOff()
            }
            return
        }
        guard self.phase == .processing, request == requestNumber else {
            return
        }
        switch outcome {
        case .answer(let answer):
            finish(answer)
        case .written(let pending, let results, let receipt):
            finish(Stage.json.measured { pending.answer(results).with(receipt) })
        }
        workOff()
    }

    /// Takes what ends the work for the current request.
    func hold(_ work: Cancellation) {
        self.work = work
    }

    /// Answers a request that is done; what it held is free before its client can know and ask again.
    func finish(_ answer: Answer) {
        request?.permit?.giveBack()
        send(answer)
    }
}
