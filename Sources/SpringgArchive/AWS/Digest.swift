import COpenSSL
import SpringgLog

/// SHA-256, MD5 and HMAC-SHA256 by libcrypto.
enum Digest {
    static func hmac(_ message: String, key: [UInt8]) -> [UInt8] {
        let message = Array(message.utf8)
        return output { out, count in
            HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, out, &count) != nil
        }
    }

    static func sha256Hex(of text: String) -> String { hex(sha256(Array(text.utf8))) }

    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        output { out, count in EVP_Digest(bytes, bytes.count, out, &count, EVP_sha256(), nil) == 1 }
    }

    /// Empty where the library refuses MD5, as in FIPS mode.
    static func md5(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { out, count in
            var length: UInt32 = 0
            let isDone = EVP_Digest(bytes, bytes.count, out.baseAddress, &length, EVP_md5(), nil) == 1
            count = isDone ? Int(length) : 0
        }
    }

    /// Runs a call that fails for lack of memory only.
    private static func output(_ call: (UnsafeMutablePointer<UInt8>?, inout UInt32) -> Bool) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { out, count in
            var length: UInt32 = 0
            let isDone = call(out.baseAddress, &length)
            precondition(isDone, "libcrypto failed to compute a SHA-256")
            count = Int(length)
        }
    }

    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for position in 0..<4 {
                text.append(position <= group.count ? alphabet[word >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// What S3 wants to know of a body before it comes.
struct PayloadDigest: Sendable {
    let sha256Hex: String
    let crc32c: UInt32

    /// Reads a part of a body once.
    init(_ body: ObjectBody, _ range: Range<Int>) throws(ObjectStoreError) {
        var whole: UInt32 = 0
        try self.init(body, range, extending: &whole)
    }

    /// The same, and continues the checksum of the parts before it.
    init(_ body: ObjectBody, _ range: Range<Int>, extending whole: inout UInt32) throws(ObjectStoreError) {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var isDone = EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
        var crc: UInt32 = 0
        try body.forEachPiece(of: range) { (piece) throws(ObjectStoreError) in
            isDone = isDone && EVP_DigestUpdate(context, piece.baseAddress, piece.count) == 1
            crc = Checksum.crc32c(piece, from: crc)
            whole = Checksum.crc32c(piece, from: whole)
        } orThrow: {
            .localFile($0)
        }
        let hash = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { out, count in
            var length: UInt32 = 0
            isDone = isDone && EVP_DigestFinal_ex(context, out.baseAddress, &length) == 1
            count = Int(length)
        }
        precondition(isDone, "libcrypto failed to compute a SHA-256")
        sha256Hex = Digest.hex(hash)
        crc32c = crc
    }
}

/// CRC-32C as S3 writes it: four bytes, the highest first, in base64.
package enum S3Checksum {
    /// Writes it.
    package static func text(_ crc: UInt32) -> String {
        Digest.base64([
            UInt8(truncatingIfNeeded: crc >> 24), UInt8(truncatingIfNeeded: crc >> 16),
            UInt8(truncatingIfNeeded: crc >> 8), UInt8(truncatingIfNeeded: crc),
        ])
    }

    /// Nil for anything else, such as the checksum of checksums `…-3` of an object made of parts.
    package static func value(_ text: String) -> UInt32? {
        let bytes = Array(text.utf8)
        guard bytes.count == 8, bytes[6] == UInt8(ascii: "="), bytes[7] == UInt8(ascii: "=") else { return nil }
        var word: UInt64 = 0
        for byte in bytes[..<6] {
            guard let digit = sextet(byte) else { return nil }
            word = word << 6 | UInt64(digit)
        }
        // Six digits are 36 bits, of which the last four must be empty.
        return word & 15 == 0 ? UInt32(truncatingIfNeeded: word >> 4) : nil
    }

    private static func sextet(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
