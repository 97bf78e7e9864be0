import COpenSSL

/// SHA-256 over bytes that come piece by piece, by libcrypto.
struct SHA256Hasher: ~Copyable {
    private let context = EVP_MD_CTX_new()

    init() {
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit {
        EVP_MD_CTX_free(context)
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest as 64 hex digits; the hasher then starts anew.
    mutating func finishAsHex() -> String {
        let digest = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(EVP_MAX_MD_SIZE)) { out in
            var length: UInt32 = 0
            EVP_DigestFinal_ex(context, out.baseAddress, &length)
            return out[..<Int(length)].flatMap { byte in
                [Self.hexDigits[Int(byte >> 4)], Self.hexDigits[Int(byte & 15)]]
            }
        }
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
        return String(decoding: digest, as: UTF8.self)
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)
}

/// HMAC-SHA256 (RFC 2104), by libcrypto.
enum HMACSHA256 {
    static let byteCount = 32

    static func authenticate(_ message: some Collection<UInt8>, key: [UInt8]) -> [UInt8] {
        let message = Array(message)
        return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { out, count in
            var length: UInt32 = 0
            let done = HMAC(
                EVP_sha256(),
                key,
                Int32(key.count),
                message,
                message.count,
                out.baseAddress,
                &length
            )
            count = done == nil ? 0 : Int(length)
        }
    }

    /// Compares in a time that does not depend on where the first difference is.
    static func matches(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        // An empty code is what a failed computation leaves: it matches nothing, not even another empty one.
        left.count == Self.byteCount && right.count == Self.byteCount && CRYPTO_memcmp(left, right, left.count) == 0
    }
}
