import COpenSSL
import SpringgTestKit

/// Tokens of every kind, good and forged, made without the program's own code.
struct Token {
    /// 46 bytes: long enough for the server to accept.
    static let secret = "a secret of the tests, long enough to be taken"

    var algorithm = "HS256"
    var type = "JWT"
    var claims = #"{"iss":"springg","iat":1700000000,"user_id":"test","permissions":["read","write"]}"#
    var secret = Token.secret

    /// A token of the test's issuer with these permissions and further claims.
    static func with(permissions: [String], _ more: String = "") -> String {
        let list = permissions.map(JSONValue.quoted).joined(separator: ",")
        return Token(claims: #"{"iss":"springg","user_id":"test","permissions":[\#(list)]\#(more)}"#).text
    }

    /// Header, claims and a signature made with the algorithm that the header names; none for `none`.
    var text: String {
        let header = #"{"alg":"\#(algorithm)","typ":"\#(type)"}"#
        let signed = Self.base64URL(Array(header.utf8)) + "." + Self.base64URL(Array(claims.utf8))
        let digest =
            switch algorithm {
            case "HS384": EVP_sha384()
            case "HS512": EVP_sha512()
            case "none": Optional<OpaquePointer>.none
            default: EVP_sha256()
            }
        return signed + "." + Self.base64URL(Self.hmac(Array(signed.utf8), digest, Array(secret.utf8)))
    }

    static func hmac(_ message: [UInt8], _ digest: OpaquePointer?, _ key: [UInt8]) -> [UInt8] {
        guard let digest else { return [] }
        var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        HMAC(digest, key, Int32(key.count), message, message.count, &result, &length)
        return Array(result[..<Int(length)])
    }

    static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var out = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for byte in group { bits = bits << 8 | UInt32(byte) }
            bits <<= UInt32(3 - group.count) * 8
            for place in 0...group.count { out.append(alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)]) }
        }
        return out
    }

    /// SHA-256 in hex.
    static func sha256(_ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(bytes, bytes.count, &digest)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
