import NIOCore
import SpringgCluster

/// Hands packets to the loop.
final class PacketHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let loop: GossipLoop

    init(_ loop: GossipLoop) { self.loop = loop }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let packet = unwrapInboundIn(data)
        loop.receive(packet.data, from: packet.remoteAddress)
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
        case .accepted: reader = StreamReader(security: security, isFromDialler: true)
        case .dialled: reader = StreamReader(security: security, isFromDialler: false)
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: .seconds(GossipLimits.streamSeconds)) {
            channel.close(promise: nil)
        }
        if case .dialled(_, let request) = role {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return }
        let bytes = unwrapInboundIn(data)
        guard loop.reserve(bytes.readableBytes) else {
            isDone = true
            context.close(promise: nil)
            return
        }
        heldBytes += bytes.readableBytes
        do throws(WireError) {
            guard let message = try reader.append(bytes.readableBytesView) else { return }
            isDone = true
            take(message, context)
        } catch {
            isDone = true
            loop.streamRefused(error, from: context.remoteAddress.flatMap { NodeAddress($0) })
            report(nil)
            guard case .accepted = role else { return context.close(promise: nil) }
            write(Message.error("\(error)").encoded, context)
        }
    }

    private func take(_ message: StreamMessage, _ context: ChannelHandlerContext) {
        switch role {
        case .dialled:
            report(message)
            context.close(promise: nil)
        case .accepted:
            let sender = context.remoteAddress.flatMap { NodeAddress($0) }
            guard let sender, let answer = loop.answer(to: message, from: sender) else {
                return context.close(promise: nil)
            }
            write(answer, context)
        }
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    private var reported = false

    /// Tells the core, once, what came of a stream that it asked for.
    private func report(_ message: StreamMessage?) {
        guard case .dialled(let stream, _) = role, !reported else { return }
        reported = true
        loop.answered(stream, message)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        report(nil)
        switch role {
        case .accepted: loop.streamEnded(isDialled: false, bytes: heldBytes)
        case .dialled: loop.streamEnded(isDialled: true, bytes: heldBytes)
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
