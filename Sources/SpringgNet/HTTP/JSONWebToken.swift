import CSpringg
import SpringgProjections

/// JSON Web Tokens (RFC 7519) signed with HMAC-SHA256: making and checking them.
///
/// Only the algorithm HS256 exists here. A token's header never chooses how it is checked (RFC 8725, 3.1): a header
/// that says anything else is refused before its signature is looked at.
public enum JSONWebToken {
    /// Bytes of a token: room for far more claims than ours, and a bound on the work that an unverified one causes.
    package static let bytesMax = 16 << 10
    /// Who the tokens of this server say they are from.
    static let issuer = "springg"

    /// Signs claims with HS256.
    ///
    /// - Parameters:
    ///   - claims: The text of a JSON object.
    ///   - secret: The key that the server checks tokens with.
    ///   - keyID: What the server calls the key; nil for the one without a name. ASCII without quotes and backslashes.
    /// - Returns: The token, to be sent as `Authorization: Bearer TOKEN`.
    public static func sign(claims: String, secret: String, keyID: String? = nil) -> String {
        let name = keyID.map { #","kid":"\#($0)""# } ?? ""
        let header = Base64URL.encode(#"{"alg":"HS256","typ":"JWT"\#(name)}"#.utf8)
        let signed = "\(header).\(Base64URL.encode(claims.utf8))"
        let code = HMACSHA256.authenticate(signed.utf8, key: Array(secret.utf8))
        return "\(signed).\(Base64URL.encode(code))"
    }

    /// What a valid token allows, and when.
    package struct Grant: Equatable, Sendable {
        package var scopes: ScopeSet = []
        /// Seconds since 1970 from which the token is no longer valid.
        package var expires = Double.infinity
        /// Seconds since 1970 before which it is not valid yet.
        package var notBefore = -Double.infinity
        /// What it is for; nil for all indexes, and for what concerns them all.
        package var indexes: IndexPatterns?

        func isCurrent(at now: Double) -> Bool {
            now < expires && now >= notBefore
        }
    }

    /// Why a token is refused.
    package enum Refusal: Error, Equatable {
        /// Not a token, not signed with our secret by HS256, expired or not valid yet.
        case invalidOrExpired
        /// Properly signed, but by somebody else than `springg`, or nobody.
        case issuer
        /// Properly signed, but its claims are not an object or a claim has a type that it must not have.
        case claims
    }

    /// Checks the signature first and reads the claims only then.
    ///
    /// - Parameters:
    ///   - token: The token's bytes.
    ///   - keys: The secrets that it may be signed with.
    ///   - now: Seconds since 1970.
    /// - Returns: What the token allows.
    /// - Throws: Why it allows nothing.
    package static func verify(
        _ token: some BidirectionalCollection<UInt8>,
        keys: TokenKeys,
        now: Double
    ) throws(Refusal) -> Grant {
        guard token.count <= bytesMax else {
            throw .invalidOrExpired
        }
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3,
            let header = Base64URL.decode(parts[0]),
            let claims = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let accepted = header.withUnsafeBytes({ Header($0) })
        else {
            throw .invalidOrExpired
        }
        let signed = token[token.startIndex..<parts[1].endIndex]
        let isSigned = keys.candidates(for: accepted.keyID).contains {
            HMACSHA256.matches(HMACSHA256.authenticate(signed, key: $0), signature)
        }
        guard isSigned else {
            throw .invalidOrExpired
        }
        let grant = try claims.withUnsafeBufferPointer { bytes throws(Refusal) in
            try self.grant(of: UnsafeRawBufferPointer(bytes))
        }
        guard grant.isCurrent(at: now) else {
            throw .invalidOrExpired
        }
        return grant
    }

    /// A header that names HS256 and demands no extension that we would have to understand (`crit`).
    private struct Header {
        /// The name of the key, if there is one.
        var keyID: String?

        init?(_ bytes: UnsafeRawBufferPointer) {
            let header = try? decodeBody(bytes) { reader throws(JSONError) in try Header(&reader) }
            guard let header else {
                return nil
            }
            self = header
        }

        private init(_ reader: inout JSONReader) throws(JSONError) {
            var isHS256 = false
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key.isExactly("alg") {
                    guard reader.peek() == SPRINGG_JSON_STRING, try reader.shortString() == "HS256" else {
                        throw .invalid
                    }
                    isHS256 = true
                } else if key.isExactly("kid") {
                    guard reader.peek() == SPRINGG_JSON_STRING else {
                        throw .invalid
                    }
                    keyID = try reader.shortString()
                } else if key.isExactly("crit") {
                    throw .invalid
                } else {
                    try reader.skip()
                }
            }
            guard isHS256 else {
                throw .invalid
            }
        }
    }

    private static func grant(of claims: UnsafeRawBufferPointer) throws(Refusal) -> Grant {
        var grant = Grant()
        var issuer = ""
        var permissions: ScopeSet?
        var indexes: [String]?
        do {
            _ = try decodeBody(claims) { reader throws(JSONError) in
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    if key.isExactly("iss") {
                        if reader.peek() == SPRINGG_JSON_STRING {
                            issuer = try reader.shortString()
                        } else {
                            issuer = ""
                            try reader.skip()
                        }
                    } else if key.isExactly("exp") {
                        grant.expires = try reader.double()
                    } else if key.isExactly("nbf") {
                        grant.notBefore = try reader.double()
                    } else if key.isExactly("indexes") {
                        indexes = try names(&reader)
                    } else if key.isExactly("permissions") {
                        permissions = try ScopeSet(&reader)
                    } else {
                        try reader.skip()
                    }
                }
                return true
            }
        } catch {
            throw .claims
        }
        guard issuer == self.issuer else {
            throw .issuer
        }
        grant.scopes = permissions ?? .default
        if let indexes {
            guard let patterns = IndexPatterns(indexes) else {
                throw .claims
            }
            grant.indexes = patterns
        }
        return grant
    }

    private static func names(_ reader: inout JSONReader) throws(JSONError) -> [String] {
        var names: [String] = []
        try reader.beginArray()
        while try reader.nextElement() {
            guard reader.peek() == SPRINGG_JSON_STRING else {
                throw .invalid
            }
            names.append(try reader.shortString())
        }
        return names
    }
}

/// What a token may be used for.
package struct ScopeSet: OptionSet, Sendable {
    package let rawValue: UInt8

    package static let read = ScopeSet(rawValue: 1)
    package static let write = ScopeSet(rawValue: 2)
    package static let admin = ScopeSet(rawValue: 4)
    package static let `internal` = ScopeSet(rawValue: 8)

    /// Tokens made before there were permissions have none and keep what they could do.
    static let `default`: ScopeSet = [.read, .write]

    /// The name in a token's `permissions`.
    var name: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .admin: "admin"
        case .internal: "internal"
        default: "none"
        }
    }

    /// Reads an array of names; unknown ones allow nothing, `admin` includes reading and writing.
    init(_ reader: inout JSONReader) throws(JSONError) {
        self = []
        try reader.beginArray()
        while try reader.nextElement() {
            guard reader.peek() == SPRINGG_JSON_STRING else {
                throw .invalid
            }
            switch try reader.shortString() {
            case "read": insert(.read)
            case "write": insert(.write)
            case "admin": formUnion([.admin, .read, .write])
            case "internal": insert(.internal)
            default: ()
            }
        }
    }

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }
}

/// base64url without padding (RFC 4648, 5), strict: one text for each value, so that a token cannot be varied.
package enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, byte) in Self.alphabet.enumerated() {
            values[Int(byte)] = UInt8(value)
        }
        return values
    }()

    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> UInt32(count)) & 63])
            }
        }
        if count > 0 {
            text.append(alphabet[Int(bits << UInt32(6 - count)) & 63])
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            let value = values[Int(byte)]
            guard value != 0xFF else {
                return nil
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        // A group of one character encodes nothing, and bits left over must be zero.
        return count < 6 && bits == 0 ? bytes : nil
    }
}
