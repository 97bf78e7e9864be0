import Logging
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

    private enum Phase {
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

    private enum Event {
        case part(HTTPServerRequestPart)
        case malformed(HTTPParserError)
    }

    /// The request being received or answered.
    private struct Request {
        var head: HTTPRequestHead
        var target: Target
        var body: RequestBody
        var permit: Permit?
        /// Set for a body that is worked off while it arrives.
        var stream: BulkStream?
    }

    /// Bytes of an unwanted body that are read and thrown away for the sake of keeping the connection.
    private static let discardBytesMax = 64 << 10

    private let worker: Worker
    private let peer: RemotePeer
    /// Given back when the connection is gone.
    private let permit: Permit?
    private var context: ChannelHandlerContext?
    private var number = 0

    private var phase = Phase.idle
    private var request: Request?
    /// Ends what is being done for the request.
    private var work: Cancellation?
    /// What the current request asks for, as far as it is known.
    private var endpoint: Endpoint?
    /// Counts requests, so that an outcome that comes after its request was given up is recognised.
    private var requestNumber: UInt64 = 0
    private var answerContext = HeadEncoder.Context()
    private var backlog = CircularBuffer<Event>(initialCapacity: 0)
    private var isWorkingOff = false
    private var holdsRead = false
    private var sawEndOfInput = false
    /// Nothing can be asked yet: TLS is being agreed on.
    private var isShakingHands: Bool

    /// True when bytes have come since the last whole request: a request has begun.
    private var hasPartialRequest = false
    private var started = NIODeadline.now()
    private var phaseDeadline: NIODeadline
    private var writeDeadline = NIODeadline.distantFuture
    private var writesInFlight = 0

    init(worker: Worker, peer: RemotePeer, permit: Permit?, isSecure: Bool) {
        self.worker = worker
        self.peer = peer
        self.permit = permit
        self.isShakingHands = isSecure
        self.phaseDeadline = NIODeadline.now().after(isSecure ? worker.timeouts.read : worker.timeouts.idle)
    }

    /// Names the request being worked on.
    var ticket: Ticket {
        Ticket(connection: self.number, request: self.requestNumber, trace: self.answerContext.trace)
    }

    /// The address of this node that the client reached.
    var localAddress: String { self.context?.channel.localAddress?.ipAddress ?? "127.0.0.1" }

    /// The target of the request being worked on, as it was sent.
    var uri: String { self.request?.head.uri ?? "" }

    /// The query of the request's target.
    func query() throws(RequestError) -> QueryItems { try QueryItems(uri: self.uri) }

    /// What the request's body is.
    var mediaType: MediaType { self.request.map { MediaType($0.head.headers) } ?? .json }

    /// True when the request's body holds many replication messages: peers say so in a header.
    var isReplicationBatch: Bool { self.request?.head.headers.contains(name: "x-batch-size") ?? false }

    // MARK: From the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.number = self.worker.add(self)
        if self.worker.isDraining {
            self.closeNow()
        }
    }

    /// Comes for every channel that ends, also for one that has never become active.
    func handlerRemoved(context: ChannelHandlerContext) {
        self.work?.cancel()
        self.phase = .closed
        self.request = nil
        self.backlog.removeAll()
        self.worker.remove(self.number)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.take(.part(Self.unwrapInboundIn(data)))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            self.take(.malformed(error))
        } else if !(error is ByteToMessageDecoderError) {
            self.closeNow()
        }
        // Else the decoder got input after it had given up: that it has was said before, and is answered in its turn.
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandler.Ready {
            self.isShakingHands = false
            self.phaseDeadline = NIODeadline.now().after(self.worker.timeouts.idle)
            return
        }
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        self.sawEndOfInput = true
        switch self.phase {
        case .idle where self.backlog.isEmpty, .receiving, .discarding, .lingering:
            self.closeNow()
        case .idle, .blocked, .processing, .closed:
            // Requests that came before the end are still answered.
            ()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if self.phase == .blocked, context.channel.isWritable {
            self.dispatch()
            self.workOff()
        }
        context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
        if self.isBusy || !self.backlog.isEmpty || self.request?.stream?.isFull ?? false {
            self.holdsRead = true
        } else {
            context.read()
        }
    }

    /// Called for every piece of input before it is decoded.
    ///
    /// - Returns: False when the connection wants no more input.
    func inputArrived() -> Bool {
        switch self.phase {
        case .lingering, .closed:
            return false
        case .idle where !self.hasPartialRequest:
            self.phaseDeadline = NIODeadline.now().after(self.worker.timeouts.read)
        case .idle, .receiving, .discarding, .blocked, .processing:
            ()
        }
        self.hasPartialRequest = true
        return true
    }

    // MARK: Requests

    private var isBusy: Bool { self.phase == .processing || self.phase == .blocked }

    private func take(_ event: Event) {
        guard !self.isBusy, self.backlog.isEmpty, !self.isWorkingOff else {
            self.backlog.append(event)
            return
        }
        self.isWorkingOff = true
        self.handle(event)
        self.isWorkingOff = false
        self.workOff()
    }

    /// Takes up what has waited, until a request needs time; then lets the channel read on.
    private func workOff() {
        guard !self.isWorkingOff else {
            return
        }
        self.isWorkingOff = true
        while !self.isBusy, let event = self.backlog.popFirst() {
            self.handle(event)
        }
        self.isWorkingOff = false
        guard !self.isBusy else {
            return
        }
        if self.sawEndOfInput, self.phase == .idle {
            self.closeNow()
        } else if self.holdsRead {
            self.holdsRead = false
            self.context?.read()
        }
    }

    private func handle(_ event: Event) {
        switch (event, self.phase) {
        case (_, .lingering), (_, .closed):
            ()
        case (.part(.head(let head)), _):
            self.begin(head)
        case (.part(.body(let part)), .receiving) where self.request?.stream != nil:
            self.stream(part)
        case (.part(.body(let part)), .receiving):
            do throws(RequestError) {
                try self.request?.body.append(part)
            } catch {
                self.answerContext.keepAlive = false
                self.send(.failure(error))
            }
        case (.part(.end), .receiving):
            self.hasPartialRequest = false
            if self.context?.channel.isWritable ?? false {
                self.dispatch()
            } else {
                self.enter(.blocked, deadline: .distantFuture)
            }
        case (.part(.end), .discarding):
            self.hasPartialRequest = false
            self.becomeIdle()
        case (.part, _):
            ()
        case (.malformed(let error), .idle), (.malformed(let error), .receiving):
            self.startRequest()
            self.answerContext = HeadEncoder.Context(keepAlive: false, requestID: self.worker.requestIDs.next())
            self.send(.failure(Self.malformed(error)))
        case (.malformed, _):
            self.closeNow()
        }
    }

    private static func malformed(_ error: HTTPParserError) -> RequestError {
        error == .headerOverflow
            ? RequestError(.requestHeaderFieldsTooLarge, "request head is too large", limit: .header)
            : .badRequest("malformed HTTP request")
    }

    private func startRequest() {
        self.requestNumber += 1
        self.endpoint = nil
        self.started = .now()
        self.worker.context.requests.count()
    }

    /// Looks at a head: either the body is wanted or the answer is clear already.
    private func begin(_ head: HTTPRequestHead) {
        self.startRequest()
        self.answerContext.isHTTP10 = head.version == .http1_0
        self.answerContext.hasOrigin = head.headers.contains(name: "origin")
        let requestID = head.headers.first(name: "x-request-id")
        self.answerContext.requestID =
            requestID.flatMap { RequestID.accepted($0) ? $0 : nil } ?? self.worker.requestIDs.next()
        let traces = head.headers["traceparent"]
        // Who sends two says nothing.
        self.answerContext.trace = traces.count == 1 ? TraceContext(traceparent: traces[0]) : nil
        // The decoder stops after a request to change the protocol, and we know no other.
        let wantsUpgrade = head.method == .CONNECT || head.headers.contains(name: "upgrade")
        self.answerContext.keepAlive = head.isKeepAlive && !wantsUpgrade && !self.worker.isDraining
        let bodyLength = head.headers.first(name: "content-length").flatMap(Int.init)
        let isChunked = head.headers.contains(name: "transfer-encoding")
        let expectsContinue = head.headers.first(name: "expect")?.lowercased() == "100-continue"
        do throws(RequestError) {
            switch try self.worker.admit(head, from: self.peer, now: self.started, endpoint: &self.endpoint) {
            case .target(let target, let permit):
                let stream = try self.worker.stream(target, head)
                let body = try RequestBody(
                    announced: stream != nil ? 0 : isChunked ? nil : bodyLength ?? 0,
                    limit: self.worker.bodyLimit(of: target.endpoint),
                    budget: self.worker.context.bodyBudget
                )
                self.request = Request(head: head, target: target, body: body, permit: permit, stream: stream)
                self.enterReceiving()
                if expectsContinue, isChunked || bodyLength ?? 0 > 0, head.version != .http1_0 {
                    self.write(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n"))
                }
            case .answer(let answer):
                self.refuse(head, with: answer, discarding: isChunked ? nil : bodyLength ?? 0, expectsContinue)
            }
        } catch {
            let keeps = error.status != .payloadTooLarge && error.status != .serviceUnavailable
            self.answerContext.keepAlive = self.answerContext.keepAlive && keeps
            self.refuse(
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
        self.answerContext.keepAlive = self.answerContext.keepAlive && isShort
        self.phase = .receiving
        self.send(answer, head: head)
    }

    private func enterReceiving() {
        // The deadline that began with the request's first byte stays.
        if !self.hasPartialRequest {
            self.phaseDeadline = self.started.after(self.worker.timeouts.read)
        }
        self.phase = .receiving
    }

    private func enter(_ phase: Phase, deadline: NIODeadline) {
        self.phase = phase
        self.phaseDeadline = deadline
    }

    private func dispatch() {
        guard let request else {
            return
        }
        self.enter(.processing, deadline: NIODeadline.now().after(self.worker.timeouts.request))
        guard request.stream == nil else {
            self.request?.stream?.finish(self.worker.scratch)
            self.pump()
            return
        }
        do throws(RequestError) {
            if let held = try self.worker.mustHold(request.head, self.ticket), let context {
                return try self.worker.hold(held, on: context.eventLoop)
            }
        } catch {
            return self.finish(.failure(error))
        }
        self.work(on: request)
    }

    /// Goes on with a request that has waited for an event, or ends it.
    func resume(request number: UInt64, _ error: RequestError?) {
        guard self.phase == .processing, number == self.requestNumber, let request else {
            return
        }
        if let error {
            self.finish(.failure(error))
        } else {
            self.work(on: request)
        }
        self.workOff()
    }

    private func work(on request: Request) {
        do throws(RequestError) {
            let answer = try Stage.work.measured { () throws(RequestError) in
                try self.worker.handle(
                    request.target,
                    body: request.body.buffer,
                    permit: request.permit,
                    from: self
                )
            }
            if let answer {
                self.finish(answer)
            }
        } catch {
            self.finish(.failure(error))
        }
    }

    /// Takes the outcome of a request that was worked on elsewhere.
    func complete(request: UInt64, _ outcome: Outcome) {
        if case .written(.stream, let results, let receipt) = outcome {
            if request == self.requestNumber, self.request?.stream != nil {
                self.request?.stream?.completed(results, receipt)
                self.pump()
                self.workOff()
            }
            return
        }
        guard self.phase == .processing, request == self.requestNumber else {
            return
        }
        switch outcome {
        case .answer(let answer):
            self.finish(answer)
        case .written(let pending, let results, let receipt):
            self.finish(Stage.json.measured { pending.answer(results).with(receipt) })
        }
        self.workOff()
    }

    // MARK: Streams

    /// Takes a piece of a body that is worked off while it arrives.
    private func stream(_ part: ByteBuffer) {
        do throws(RequestError) {
            let made = try Stage.work.measured { () throws(RequestError) in
                try self.request?.stream?.append(part, self.worker.scratch)
            }
            if made ?? false {
                self.phaseDeadline = NIODeadline.now().after(self.worker.timeouts.read)
            }
            self.pump()
        } catch {
            self.refuseRest(error)
        }
    }

    /// Hands on what can be handed on, and answers once there is nothing left to wait for.
    private func pump() {
        let isLast = self.phase == .processing
        while let commands = self.request?.stream?.nextBatch(isLast: isLast) {
            self.worker.submit(commands, as: .stream, self.ticket)
            self.phaseDeadline = NIODeadline.now().after(
                isLast ? self.worker.timeouts.request : self.worker.timeouts.read
            )
        }
        guard let stream = self.request?.stream else {
            return
        }
        if let failure = stream.failure {
            self.refuseRest(failure)
        } else if isLast, stream.isSettled {
            self.finish(stream.answer())
        }
    }

    /// Says how far the stream got and why no further.
    private func refuseRest(_ error: RequestError) {
        if self.phase != .processing {
            self.answerContext.keepAlive = false
        }
        self.finish(self.request?.stream?.answer(error) ?? .failure(error))
    }

    /// Takes what ends the work for the current request.
    func hold(_ work: Cancellation) {
        self.work = work
    }

    /// Answers a request that is done; what it held is free before its client can know and ask again.
    private func finish(_ answer: Answer) {
        self.request?.permit?.giveBack()
        self.send(answer)
    }

    // MARK: Answers

    /// Sends the answer to the current request and moves on.
    private func send(_ answer: Answer, head: HTTPRequestHead? = nil) {
        if self.worker.isDraining {
            self.answerContext.keepAlive = false
        }
        var body = answer.body
        let response = body.prepend(head: self.worker.heads.encode(answer, self.answerContext))
        let wasReceiving = self.phase == .receiving
        self.worker.metrics.answered(
            self.endpoint,
            status: answer.status,
            nanoseconds: (NIODeadline.now() - self.started).nanoseconds
        )
        if let limit = answer.limit {
            self.worker.metrics.hit(limit)
        }
        if self.worker.context.logsRequests {
            self.log(head ?? self.request?.head, answer.status)
        }
        self.request = nil
        self.work = nil
        self.write(response)
        if !self.answerContext.keepAlive {
            self.linger()
        } else if wasReceiving {
            self.enter(.discarding, deadline: self.phaseDeadline)
        } else {
            self.becomeIdle()
        }
    }

    private func becomeIdle() {
        let timeouts = self.worker.timeouts
        let patience = self.hasPartialRequest ? timeouts.read : timeouts.idle
        self.enter(.idle, deadline: NIODeadline.now().after(patience))
    }

    private func write(_ bytes: ByteBuffer) {
        guard let context else {
            return
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        self.writesInFlight += 1
        if self.writesInFlight == 1 {
            self.writeDeadline = NIODeadline.now().after(self.worker.timeouts.write)
        }
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.wrote(result)
        }
        context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: promise)
    }

    private func wrote(_ result: Result<Void, any Error>) {
        self.writesInFlight -= 1
        self.writeDeadline =
            self.writesInFlight == 0 ? .distantFuture : NIODeadline.now().after(self.worker.timeouts.write)
        if case .failure = result {
            self.closeNow()
        } else if self.phase == .lingering, self.writesInFlight == 0 {
            self.closeOutput()
        }
    }

    /// Ends the connection in an orderly way: all answers out, then our end of the stream, then the client's.
    ///
    /// Closing at once would make the kernel answer unread input with a reset, and that may destroy an answer that the
    /// client has not read yet.
    private func linger() {
        guard self.phase != .closed else {
            return
        }
        self.enter(.lingering, deadline: .distantFuture)
        self.backlog.removeAll()
        if self.writesInFlight == 0 {
            self.closeOutput()
        }
    }

    private func closeOutput() {
        if self.sawEndOfInput {
            self.closeNow()
            return
        }
        self.phaseDeadline = .now() + (self.worker.isDraining ? Timeouts.lingerWhenDraining : Timeouts.linger)
        self.context?.close(mode: .output, promise: nil)
        // Nothing is held back any more: the end of the client's stream is what we wait for.
        self.holdsRead = false
        self.context?.read()
    }

    private func log(_ head: HTTPRequestHead?, _ status: HTTPResponseStatus) {
        let microseconds = (NIODeadline.now() - self.started).nanoseconds / 1000
        let request = head.map { "\($0.method.rawValue) \($0.uri)" } ?? "-"
        var metadata: Logger.Metadata = ["request_id": "\(self.answerContext.requestID)"]
        if let trace = self.answerContext.trace {
            metadata["trace_id"] = "\(trace.traceID)"
        }
        self.worker.context.logger.debug("\(request) \(status.code) \(microseconds)µs", metadata: metadata)
    }

    // MARK: Ends

    func checkDeadlines(_ now: NIODeadline) {
        if now >= self.writeDeadline {
            self.worker.metrics.hit(.writeTimeout)
            self.closeNow()
            return
        }
        guard now >= self.phaseDeadline else {
            return
        }
        switch self.phase {
        case .receiving where self.request?.stream?.isFull ?? false:
            // It is us who are slow.
            self.phaseDeadline = now.after(self.worker.timeouts.read)
        case .receiving:
            let text = "Request timeout: the request did not arrive in time"
            self.refuseRest(RequestError(.requestTimeout, text, limit: .readTimeout))
        case .processing:
            self.work?.cancel()
            self.refuseRest(RequestError(.gatewayTimeout, "Request timeout", limit: .requestTimeout))
            self.workOff()
        case .idle, .discarding, .blocked, .lingering, .closed:
            if self.isShakingHands {
                self.worker.metrics.hit(.readTimeout)
            }
            self.closeNow()
        }
    }

    /// Lets the current request finish and then closes; called once the server is to stop.
    func drain() {
        switch self.phase {
        case .idle where self.backlog.isEmpty:
            self.closeNow()
        case .idle, .receiving, .discarding, .blocked, .processing:
            self.answerContext.keepAlive = false
        case .lingering, .closed:
            ()
        }
    }

    func closeNow() {
        guard self.phase != .closed else {
            return
        }
        self.phase = .closed
        self.work?.cancel()
        // What the request holds goes before the client can see the end and come again.
        self.request = nil
        self.context?.close(mode: .all, promise: nil)
    }
}
