import NIOCore

/// TLS below HTTP: decrypts what comes and encrypts what goes.
///
/// The limits of a connection hold as without it. What one read brings is decrypted at once, so nothing gathers here; an
/// answer is encrypted in pieces as fast as the client takes them, so it lies in memory once and not twice, and
/// the promise of its write is kept when its last byte is with the kernel.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Told to the connection when requests may come.
    struct Ready {}

    private enum Phase {
        case handshaking
        case open
        /// What comes is thrown away, what is to go is refused.
        case ended
    }

    /// Bytes that are encrypted or decrypted at once, those of one record: OpenSSL keeps memory for the most that it ever held.
    private static let pieceBytes = 16 << 10
    /// What a client gets that speaks HTTP without TLS: the answer that it can read.
    private static let plainAnswer: StaticString = """
        HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 106\r\n\r\n\
        {"status":"error","error":"this port speaks HTTPS: the address begins with https://","code":"bad_request"}
        """

    private let session: TLSSession
    /// Told when the handshake has ended: nil, or why it failed.
    private let handshaken: (String?) -> Void
    private var phase = Phase.handshaking
    private var isFirst = true
    private var sawEnd = false
    /// What is not encrypted yet.
    private var pending = CircularBuffer<(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)>(initialCapacity: 0)
    private var isEncrypting = false
    private var owesWritability = false

    init(_ session: TLSSession, handshaken: @escaping (String?) -> Void) {
        self.session = session
        self.handshaken = handshaken
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        guard self.phase != .ended, bytes.readableBytes > 0 else {
            return
        }
        if self.isFirst {
            self.isFirst = false
            // Records of a handshake begin with 22; a method of HTTP with a capital letter.
            if let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self), (65...90).contains(first) {
                return self.answerPlainly(context)
            }
        }
        var rest = bytes
        var plain = context.channel.allocator.buffer(capacity: bytes.readableBytes)
        var outcome = TLSSession.Outcome.wantsMore
        while outcome == .wantsMore, rest.readableBytes > 0,
            let piece = rest.readSlice(length: min(Self.pieceBytes, rest.readableBytes))
        {
            piece.withUnsafeReadableBytes { self.session.receive($0) }
            if self.phase == .handshaking {
                self.shakeHands(context)
            }
            guard self.phase != .ended else {
                return
            }
            if self.phase == .open {
                outcome = self.session.read(into: &plain)
            }
        }
        self.send(context)
        if plain.readableBytes > 0 {
            context.fireChannelRead(Self.wrapInboundOut(plain))
        }
        switch outcome {
        case .wantsMore: ()
        case .done: self.inputEnded(context)
        case .failed: self.end(context)
        }
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        let outcome = self.session.handshake()
        // A refusal has its own record, which tells the client why.
        self.send(context)
        switch outcome {
        case .wantsMore:
            ()
        case .done:
            self.phase = .open
            self.handshaken(nil)
            context.fireUserInboundEventTriggered(Ready())
            self.encrypt(context)
        case .failed(let reason):
            self.handshaken(reason)
            self.end(context)
        }
    }

    private func answerPlainly(_ context: ChannelHandlerContext) {
        self.handshaken("plain HTTP")
        self.phase = .ended
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(staticString: Self.plainAnswer)), promise: nil)
        // The client's end, or that of its time, closes the rest: a reset could destroy the answer.
        context.close(mode: .output, promise: nil)
    }

    private func inputEnded(_ context: ChannelHandlerContext) {
        if !self.sawEnd {
            self.sawEnd = true
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        if self.phase == .handshaking {
            self.handshaken("the client hung up")
            self.phase = .ended
        }
        self.inputEnded(context)
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard self.phase != .ended else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        self.pending.append((Self.unwrapOutboundIn(data), promise))
    }

    func flush(context: ChannelHandlerContext) {
        self.encrypt(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.owesWritability = true
        self.encrypt(context)
    }

    /// Encrypts and sends as much as the client takes.
    private func encrypt(_ context: ChannelHandlerContext) {
        // What is sent may call back: the loop below takes up what that brings.
        guard !self.isEncrypting, self.phase == .open else {
            return
        }
        self.isEncrypting = true
        repeat {
            while self.phase == .open, context.channel.isWritable, let next = self.pending.popFirst() {
                self.encrypt(next, context)
            }
            context.flush()
        } while self.phase == .open && context.channel.isWritable && !self.pending.isEmpty
        self.isEncrypting = false
        // Above, room counts only when nothing waits for it here.
        if self.owesWritability, self.pending.isEmpty || !context.channel.isWritable {
            self.owesWritability = false
            context.fireChannelWritabilityChanged()
        }
    }

    /// Encrypts one record of what is to be written; the rest waits in front of all others.
    private func encrypt(
        _ next: (bytes: ByteBuffer, promise: EventLoopPromise<Void>?),
        _ context: ChannelHandlerContext
    ) {
        var (bytes, promise) = next
        let piece = bytes.readSlice(length: min(Self.pieceBytes, bytes.readableBytes)) ?? ByteBuffer()
        guard piece.withUnsafeReadableBytes({ self.session.write($0) }) else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return self.end(context)
        }
        if bytes.readableBytes > 0 {
            self.pending.prepend((bytes, promise))
            promise = nil
        }
        let record = self.session.takeOutput(context.channel.allocator) ?? ByteBuffer()
        context.write(Self.wrapOutboundOut(record), promise: promise)
    }

    /// Sends what TLS itself has to say.
    private func send(_ context: ChannelHandlerContext) {
        if let bytes = self.session.takeOutput(context.channel.allocator) {
            context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil)
        }
    }

    // MARK: Ends

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input, self.phase == .open {
            self.session.close()
            self.send(context)
        }
        if mode == .all {
            if self.phase == .handshaking {
                self.handshaken("it was not done in time")
            }
            self.abandon()
        }
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.abandon()
    }

    private func end(_ context: ChannelHandlerContext) {
        self.abandon()
        context.close(mode: .all, promise: nil)
    }

    private func abandon() {
        self.phase = .ended
        while let (_, promise) = self.pending.popFirst() {
            promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }
}
