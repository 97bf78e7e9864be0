import NIOCore

/// Sits in front of the decoder and tells the connection about input before it is decoded: the time for a request
/// counts from its first byte, of which the decoder says nothing.
final class InputObserver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnection

    init(_ connection: HTTPConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if connection.inputArrived() {
            context.fireChannelRead(data)
        }
    }
}
