import COpenSSL
import NIOCore

/// The server's end of one connection's TLS, without the connection: bytes go in and come out.
///
/// What has come is in one memory of OpenSSL's until it is decrypted, what is to be sent in another until it is taken.
/// Neither grows: all that can be decrypted is, after each piece, and what is left of it is less than a record.
final class TLSSession {
    /// What a step came to.
    enum Outcome: Equatable {
        /// It goes on when more bytes have come.
        case wantsMore
        /// The handshake is done; the other side has said goodbye.
        case done
        case failed(String)
    }

    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    /// Keeps the context of the certificate for as long as it is used.
    private let identity: TLSIdentity
    /// After a failure OpenSSL must not be asked to say goodbye.
    private var hasFailed = false

    /// Nil when there is no memory.
    init?(_ identity: TLSIdentity) {
        guard let ssl = SSL_new(identity.context) else {
            return nil
        }
        guard let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            return nil
        }
        // The session frees both.
        SSL_set_bio(ssl, input, output)
        SSL_set_accept_state(ssl)
        (self.ssl, self.input, self.output, self.identity) = (ssl, input, output, identity)
    }

    deinit { SSL_free(ssl) }

    /// Takes what has come.
    func receive(_ bytes: UnsafeRawBufferPointer) {
        let taken = BIO_write(input, bytes.baseAddress, Int32(bytes.count))
        precondition(taken == Int32(bytes.count), "memory took \(taken) of \(bytes.count) bytes")
    }

    /// Goes on with the handshake.
    func handshake() -> Outcome {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        return result == 1 ? .done : outcome(result)
    }

    /// Decrypts all that has come whole, behind what `buffer` holds.
    func read(into buffer: inout ByteBuffer) -> Outcome {
        while true {
            ERR_clear_error()
            var result: Int32 = 0
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.recordBytes) { space in
                result = SSL_read(ssl, space.baseAddress, Int32(clamping: space.count))
                return max(0, Int(result))
            }
            guard result > 0 else {
                return outcome(result)
            }
        }
    }

    /// Encrypts; false when that cannot be done any more.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sent = 0
        while sent < bytes.count {
            ERR_clear_error()
            let result = SSL_write(ssl, bytes.baseAddress?.advanced(by: sent), Int32(clamping: bytes.count - sent))
            guard result > 0 else {
                _ = outcome(result)
                return false
            }
            sent += Int(result)
        }
        return true
    }

    /// Takes what is to be sent; nil when there is nothing.
    func takeOutput(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        let count = BIO_ctrl_pending(output)
        guard count > 0 else {
            return nil
        }
        var buffer = allocator.buffer(capacity: count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            max(0, Int(BIO_read(output, space.baseAddress, Int32(clamping: count))))
        }
        return buffer
    }

    /// Says goodbye: no more is encrypted.
    func close() {
        if !hasFailed, SSL_is_init_finished(ssl) == 1 {
            ERR_clear_error()
            SSL_shutdown(ssl)
        }
    }

    /// Bytes of the largest record, and so of what is decrypted at once.
    private static let recordBytes = 16 << 10

    private func outcome(_ result: Int32) -> Outcome {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            return .wantsMore
        case SSL_ERROR_ZERO_RETURN:
            return .done
        default:
            hasFailed = true
            return .failed(openSSLReason())
        }
    }
}
