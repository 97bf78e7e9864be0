import NIOCore
import SpringgCluster

/// Hands packets to the loop.
final class PacketHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let loop: GossipLoop

    init(_ loop: GossipLoop) { self.loop = loop }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let packet = self.unwrapInboundIn(data)
        self.loop.receive(packet.data, from: packet.remoteAddress)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An earlier packet found nobody at its address: the port stays open.
    }
}

/// One stream: one request, at most one answer, and a time for all of it.
final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Role {
        case accepted
        /// With what is to be sent, sealed.
        case dialled(StreamID, request: [UInt8])
    }

    private let loop: GossipLoop
    private let role: Role
    private var reader: StreamReader
    private var heldBytes = 0
    private var timer: Scheduled<Void>?
    private var isDone = false

    init(_ loop: GossipLoop, security: WireSecurity, role: Role) {
        self.loop = loop
        self.role = role
        switch role {
        case .accepted: self.reader = StreamReader(security: security, isFromDialler: true)
        case .dialled: self.reader = StreamReader(security: security, isFromDialler: false)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.timer = context.eventLoop.scheduleTask(in: .seconds(GossipLimits.streamSeconds)) {
            channel.close(promise: nil)
        }
        if case .dialled(_, let request) = self.role {
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDone else { return }
        let bytes = self.unwrapInboundIn(data)
        guard self.loop.reserve(bytes.readableBytes) else {
            self.isDone = true
            context.close(promise: nil)
            return
        }
        self.heldBytes += bytes.readableBytes
        do throws(WireError) {
            guard let message = try self.reader.append(bytes.readableBytesView) else { return }
            self.isDone = true
            self.take(message, context)
        } catch {
            self.isDone = true
            self.loop.streamRefused(error, from: context.remoteAddress.flatMap { NodeAddress($0) })
            self.report(nil)
            guard case .accepted = self.role else { return context.close(promise: nil) }
            self.write(Message.error("\(error)").encoded, context)
        }
    }

    private func take(_ message: StreamMessage, _ context: ChannelHandlerContext) {
        switch self.role {
        case .dialled:
            self.report(message)
            context.close(promise: nil)
        case .accepted:
            let sender = context.remoteAddress.flatMap { NodeAddress($0) }
            guard let sender, let answer = self.loop.answer(to: message, from: sender) else {
                return context.close(promise: nil)
            }
            self.write(answer, context)
        }
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        let channel = context.channel
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: bytes))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    private var reported = false

    /// Tells the core, once, what came of a stream that it asked for.
    private func report(_ message: StreamMessage?) {
        guard case .dialled(let stream, _) = self.role, !self.reported else { return }
        self.reported = true
        self.loop.answered(stream, message)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.report(nil)
        switch self.role {
        case .accepted: self.loop.streamEnded(isDialled: false, bytes: self.heldBytes)
        case .dialled: self.loop.streamEnded(isDialled: true, bytes: self.heldBytes)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

extension SocketAddress {
    /// The address for the system; nil when it cannot be one.
    init?(_ endpoint: NodeAddress) {
        guard
            let address = try? SocketAddress(
                packedIPAddress: ByteBuffer(bytes: endpoint.address.bytes),
                port: Int(endpoint.port)
            )
        else { return nil }
        self = address
    }
}

extension NodeAddress {
    /// The address that the system named.
    init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let ip = IPAddress(text), let port = address.port else { return nil }
        self.init(ip, port: UInt16(truncatingIfNeeded: port))
    }
}
