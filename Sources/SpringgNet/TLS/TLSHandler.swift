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
        guard phase != .ended, bytes.readableBytes > 0 else {
            return
        }
        if isFirst {
            isFirst = false
            // Records of a handshake begin with 22; a method of HTTP with a capital letter.
            if let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self), (65...90).contains(first) {
                return answerPlainly(context)
            }
        }
        var rest = bytes
        var plain = context.channel.allocator.buffer(capacity: bytes.readableBytes)
        var outcome = TLSSession.Outcome.wantsMore
        while outcome == .wantsMore, rest.readableBytes > 0,
            let piece = rest.readSlice(length: min(Self.pieceBytes, rest.readableBytes))
        {
            piece.withUnsafeReadableBytes { session.receive($0) }
            if phase == .handshaking {
                shakeHands(context)
            }
            guard phase != .ended else {
                return
            }
            if phase == .open {
                outcome = session.read(into: &plain)
            }
        }
        send(context)
        if plain.readableBytes > 0 {
            context.fireChannelRead(Self.wrapInboundOut(plain))
        }
        switch outcome {
        case .wantsMore: ()
        case .done: inputEnded(context)
        case .failed: end(context)
        }
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        let outcome = session.handshake()
        // A refusal has its own record, which tells the client why.
        send(context)
        switch outcome {
        case .wantsMore:
            ()
        case .done:
            phase = .open
            handshaken(nil)
            context.fireUserInboundEventTriggered(Ready())
            encrypt(context)
        case .failed(let reason):
            handshaken(reason)
            end(context)
        }
    }

    private func answerPlainly(_ context: ChannelHandlerContext) {
        handshaken("plain HTTP")
        phase = .ended
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(staticString: Self.plainAnswer)), promise: nil)
        // The client's end, or that of its time, closes the rest: a reset could destroy the answer.
        context.close(mode: .output, promise: nil)
    }

    private func inputEnded(_ context: ChannelHandlerContext) {
        if !sawEnd {
            sawEnd = true
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        if phase == .handshaking {
            handshaken("the client hung up")
            phase = .ended
        }
        inputEnded(context)
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .ended else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        pending.append((Self.unwrapOutboundIn(data), promise))
    }

    func flush(context: ChannelHandlerContext) {
        encrypt(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        owesWritability = true
        encrypt(context)
    }

    /// Encrypts and sends as much as the client takes.
    private func encrypt(_ context: ChannelHandlerContext) {
        // What is sent may call back: the loop below takes up what that brings.
        guard !isEncrypting, phase == .open else {
            return
        }
        isEncrypting = true
        repeat {
            while phase == .open, context.channel.isWritable, let next = pending.popFirst() {
                encrypt(next, context)
            }
            context.flush()
        } while phase == .open && context.channel.isWritable && !pending.isEmpty
        isEncrypting = false
        // Above, room counts only when nothing waits for it here.
        if owesWritability, pending.isEmpty || !context.channel.isWritable {
            owesWritability = false
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
        guard piece.withUnsafeReadableBytes({ session.write($0) }) else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return end(context)
        }
        if bytes.readableBytes > 0 {
            pending.prepend((bytes, promise))
            promise = nil
        }
        let record = session.takeOutput(context.channel.allocator) ?? ByteBuffer()
        context.write(Self.wrapOutboundOut(record), promise: promise)
    }

    /// Sends what TLS itself has to say.
    private func send(_ context: ChannelHandlerContext) {
        if let bytes = session.takeOutput(context.channel.allocator) {
            context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil)
        }
    }

    // MARK: Ends

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input, phase == .open {
            session.close()
            send(context)
        }
        if mode == .all {
            if phase == .handshaking {
                handshaken("it was not done in time")
            }
            abandon()
        }
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        abandon()
    }

    private func end(_ context: ChannelHandlerContext) {
        abandon()
        context.close(mode: .all, promise: nil)
    }

    private func abandon() {
        phase = .ended
        while let (_, promise) = pending.popFirst() {
            promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }
}
