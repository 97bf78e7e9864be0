import COpenSSL
import Glibc

/// The client's end of TLS on a blocking socket, for the load generator and for tests.
///
/// Everything else that asks a server does so with libcurl. One thread at a time.
package final class TLSClient {
    private let ssl: OpaquePointer

    /// Shakes hands and checks the server's certificate.
    ///
    /// - Parameters:
    ///   - socket: Connected; it stays the caller's.
    ///   - name: What the certificate must carry: a name or an address.
    ///   - certificates: A file of authorities to trust instead of the system's; empty for the system's.
    /// - Throws: `TLSFailure`.
    package init(_ socket: Int32, name: String, certificates: String = "") throws(TLSFailure) {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw TLSFailure(text: openSSLReason())
        }
        // The session keeps it.
        defer { SSL_CTX_free(context) }
        guard springg_tls_restrict(context) == 1 else {
            throw TLSFailure(text: openSSLReason())
        }
        let trusted =
            certificates.isEmpty
            ? SSL_CTX_set_default_verify_paths(context) : SSL_CTX_load_verify_locations(context, certificates, nil)
        guard trusted == 1 else {
            throw TLSFailure(text: "no authorities in \(certificates): \(openSSLReason())")
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        guard let ssl = SSL_new(context) else {
            throw TLSFailure(text: openSSLReason())
        }
        self.ssl = ssl
        let rules = SSL_get0_param(ssl)
        // An address is no name, and is not asked for by one.
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1
        if !isAddress {
            X509_VERIFY_PARAM_set1_host(rules, name, 0)
            _ = springg_tls_set_name(ssl, name)
        }
        ERR_clear_error()
        guard SSL_set_fd(ssl, socket) == 1, SSL_connect(ssl) == 1 else {
            let verdict = SSL_get_verify_result(ssl)
            let reason =
                verdict == Int(X509_V_OK) ? openSSLReason() : String(cString: X509_verify_cert_error_string(verdict))
            // The initialiser ends here, and with it nobody else frees the session.
            throw TLSFailure(text: reason)
        }
    }

    deinit { SSL_free(ssl) }

    /// Sends everything; false when the server has closed.
    package func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sent = 0
        while sent < bytes.count {
            ERR_clear_error()
            let count = SSL_write(ssl, bytes.baseAddress?.advanced(by: sent), Int32(clamping: bytes.count - sent))
            guard count > 0 else {
                return false
            }
            sent += Int(count)
        }
        return true
    }

    /// Reads what is there, and waits for the first byte; 0 at the end, less than that without an answer.
    package func receive(into space: UnsafeMutableRawBufferPointer) -> Int {
        ERR_clear_error()
        let count = SSL_read(ssl, space.baseAddress, Int32(clamping: space.count))
        if count > 0 {
            return Int(count)
        }
        return SSL_get_error(ssl, count) == SSL_ERROR_ZERO_RETURN ? 0 : -1
    }

    /// Says that no more is sent, and goes on reading.
    package func closeSending() {
        ERR_clear_error()
        SSL_shutdown(ssl)
    }
}

/// Why there is no connection by TLS.
package struct TLSFailure: Error, CustomStringConvertible {
    let text: String

    package var description: String { text }
}
