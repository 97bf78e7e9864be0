import COpenSSL
import Glibc
import SpringgLog

/// A certificate with those that signed it, and its key: what the server shows to its clients.
///
/// Checked when it is made: what a client would refuse is an error here, and not one of each connection.
final class TLSIdentity: @unchecked Sendable {
    // Why @unchecked: the context is set up by the initialiser and only read afterwards; OpenSSL counts its users atomically.

    /// SSL_CTX of OpenSSL.
    let context: OpaquePointer
    /// Seconds since 1970 at which the certificate ends.
    let expires: Int

    /// The one protocol there is, as ALPN writes it: a length and a name.
    private static let protocols: [UInt8] = [8] + Array("http/1.1".utf8)

    /// Reads and checks both files.
    ///
    /// - Parameters:
    ///   - certificate: Path of the certificates in PEM, the node's own first.
    ///   - key: Path of its private key in PEM.
    ///   - now: Seconds since 1970.
    /// - Throws: `TLSError`.
    init(certificate: String, key: String, now: Int) throws(TLSError) {
        let chain = try PEMFile(certificate)
        let secret = try PEMFile(key)
        try secret.requirePrivate()
        guard let context = SSL_CTX_new(TLS_server_method()) else {
            throw .refused(path: certificate, reason: openSSLReason())
        }
        do throws(TLSError) {
            guard springg_tls_restrict(context) == 1 else {
                throw .refused(path: certificate, reason: openSSLReason())
            }
            expires = try chain.useChain(in: context, now: now)
            try secret.useKey(in: context, of: certificate)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        SSL_CTX_set_alpn_select_cb(
            context,
            { _, chosen, chosenLength, offered, offeredLength, _ in
                TLSIdentity.choose(chosen, chosenLength, offered, offeredLength)
            },
            nil
        )
        self.context = context
    }

    deinit { SSL_CTX_free(context) }

    /// Agrees on HTTP/1.1 with a client that offers it, and ends the handshake of one that offers other things only.
    private static func choose(
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ chosenLength: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?,
        _ offeredLength: UInt32
    ) -> Int32 {
        guard let chosen, let chosenLength, let offered else {
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        // What is pointed to must outlive the handshake: it lies in the client's own list.
        var place = 0
        while place < Int(offeredLength) {
            let length = Int(offered[place])
            guard place + 1 + length <= Int(offeredLength) else {
                break
            }
            let name = UnsafeBufferPointer(start: offered + place, count: 1 + length)
            if name.elementsEqual(protocols) {
                chosen.pointee = offered + place + 1
                chosenLength.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            place += 1 + length
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}

/// A file in PEM, whole in memory.
struct PEMFile {
    /// Chains have a few KiB; what is larger is something else.
    private static let bytesMax = 1 << 20

    let path: String
    private let bytes: [UInt8]
    private let mode: mode_t

    init(_ path: String) throws(TLSError) {
        self.path = path
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw .unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(path: path, reason: "it is no file")
        }
        mode = status.st_mode & 0o777
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress?.advanced(by: count), $0.count - count) }
            guard got >= 0 else {
                throw .unreadable(path: path, reason: String(cString: strerror(errno)))
            }
            guard got > 0 else {
                break
            }
            count += got
        }
        guard count <= Self.bytesMax else {
            throw .unreadable(path: path, reason: "it has more than \(Self.bytesMax) bytes")
        }
        self.bytes = Array(bytes[..<count])
    }

    /// Refuses what others may read, or what they or the group may replace.
    func requirePrivate() throws(TLSError) {
        if mode & 0o027 != 0 {
            throw .exposedKey(path: path, mode: String(mode, radix: 8))
        }
    }

    /// Calls `body` with a reader of OpenSSL's over the bytes.
    private func withReader<Result, Failure: Error>(
        _ body: (OpaquePointer?) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try self.bytes.withBytes { bytes throws(Failure) in
            let reader = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { BIO_free(reader) }
            return try body(reader)
        }
    }

    /// Takes the certificates over, the first as the server's own; returns when that one ends, in seconds since 1970.
    fileprivate func useChain(in context: OpaquePointer, now: Int) throws(TLSError) -> Int {
        try withReader { (reader) throws(TLSError) in
            ERR_clear_error()
            guard let own = PEM_read_bio_X509(reader, nil, springg_no_password, nil) else {
                throw .noCertificate(path: path, reason: openSSLReason())
            }
            defer { X509_free(own) }
            let begins = Self.seconds(X509_get0_notBefore(own))
            let ends = Self.seconds(X509_get0_notAfter(own))
            guard let begins, let ends else {
                throw .refused(path: path, reason: "its dates cannot be read")
            }
            guard now < ends else {
                throw .expired(path: path, moment: CivilTime.rfc3339(Double(ends)))
            }
            guard now >= begins else {
                throw .notYetValid(path: path, moment: CivilTime.rfc3339(Double(begins)))
            }
            guard SSL_CTX_use_certificate(context, own) == 1 else {
                throw .refused(path: path, reason: openSSLReason())
            }
            while let next = PEM_read_bio_X509(reader, nil, springg_no_password, nil) {
                defer { X509_free(next) }
                guard springg_tls_add_to_chain(context, next) == 1 else {
                    throw .refused(path: path, reason: openSSLReason())
                }
            }
            // The end of the file is an error too, and the only good one.
            guard springg_error_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE else {
                throw .refused(path: path, reason: openSSLReason())
            }
            ERR_clear_error()
            return ends
        }
    }

    /// Takes the key over, for the certificate that `context` has.
    fileprivate func useKey(in context: OpaquePointer, of certificate: String) throws(TLSError) {
        try withReader { (reader) throws(TLSError) in
            ERR_clear_error()
            guard let key = PEM_read_bio_PrivateKey(reader, nil, springg_no_password, nil) else {
                throw .noKey(path: path, reason: openSSLReason())
            }
            defer { EVP_PKEY_free(key) }
            guard let own = SSL_CTX_get0_certificate(context), X509_check_private_key(own, key) == 1 else {
                ERR_clear_error()
                throw .mismatch(certificate: certificate, key: path)
            }
            guard SSL_CTX_use_PrivateKey(context, key) == 1 else {
                throw .refused(path: path, reason: openSSLReason())
            }
        }
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int? {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else {
            return nil
        }
        return timegm(&parts)
    }
}

/// Why OpenSSL did not do the last thing on this thread; forgets it.
func openSSLReason() -> String {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0 else {
        return "no reason given"
    }
    guard let text = ERR_reason_error_string(code) else {
        return "error \(code)"
    }
    return String(cString: text)
}
