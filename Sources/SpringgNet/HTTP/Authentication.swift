import NIOHTTP1

/// Decides whether a request may do what it asks for.
///
/// One for each event loop, touched on that loop only: the cache of verified tokens needs no lock.
struct Authenticator {
    /// Verified tokens remembered: a lookup costs a hundredth of a verification.
    ///
    /// Only tokens with a good signature get in, so nobody without the secret can fill it.
    static let cacheMax = 1024

    private let keys: TokenKeys
    private let requiresToken: Bool
    private var verified: [TokenText: JSONWebToken.Grant] = [:]

    init(keys: TokenKeys, requiresToken: Bool) {
        self.keys = keys
        self.requiresToken = requiresToken
    }

    /// Checks a request's token for a scope.
    ///
    /// - Parameters:
    ///   - scope: What the request needs.
    ///   - index: The index that it is about; empty when it is about all.
    ///   - authorization: The value of the Authorization header.
    ///   - now: Seconds since 1970.
    /// - Throws: The 401 or 403 that it is answered with.
    mutating func authorize(
        _ scope: ScopeSet,
        index: [UInt8],
        authorization: String?,
        now: Double
    ) throws(RequestError) {
        guard !keys.isEmpty, requiresToken || scope == .internal else {
            return
        }
        guard let authorization, !authorization.isEmpty else {
            throw RequestError(.unauthorized, "Authorization header required")
        }
        let prefix = "Bearer "
        let token = authorization.utf8.dropFirst(prefix.utf8.count)
        guard authorization.utf8.starts(with: prefix.utf8), !token.contains(UInt8(ascii: " ")) else {
            throw RequestError(.unauthorized, "Invalid authorization header format")
        }
        let grant = try self.grant(for: token, now: now)
        guard grant.scopes.isSuperset(of: scope) else {
            throw RequestError(.forbidden, "Insufficient permissions: this needs the scope \"\(scope.name)\"")
        }
        if let indexes = grant.indexes, !indexes.match(index) {
            throw RequestError(
                .forbidden,
                index.isEmpty
                    ? "Insufficient permissions: this token is for single indexes only"
                    : "Insufficient permissions: this token is not for the index \(String(decoding: index, as: UTF8.self))"
            )
        }
    }

    private mutating func grant(
        for token: Substring.UTF8View,
        now: Double
    ) throws(RequestError) -> JSONWebToken.Grant {
        let text = TokenText(text: Substring(token))
        if let known = verified[text] {
            guard known.isCurrent(at: now) else {
                verified[text] = nil
                throw Self.refusal(.invalidOrExpired)
            }
            return known
        }
        let grant: JSONWebToken.Grant
        do {
            grant = try JSONWebToken.verify(token, keys: keys, now: now)
        } catch {
            throw Self.refusal(error)
        }
        if verified.count >= Self.cacheMax {
            // Forgetting all is rare and cheaper than keeping an order of use for every request.
            verified.removeAll(keepingCapacity: true)
        }
        verified[TokenText(text: Substring(String(text.text)))] = grant
        return grant
    }

    private static func refusal(_ reason: JSONWebToken.Refusal) -> RequestError {
        switch reason {
        case .invalidOrExpired: RequestError(.unauthorized, "Invalid or expired token")
        case .issuer: RequestError(.unauthorized, "Invalid token issuer")
        case .claims: RequestError(.unauthorized, "Invalid token claims")
        }
    }
}

/// A token as a key of the cache, compared by bytes: strings compare by what they mean to a reader, and U+212A means K.
private struct TokenText: Hashable {
    let text: Substring

    static func == (left: TokenText, right: TokenText) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        let hashed: Void? = text.utf8.withContiguousStorageIfAvailable { bytes in
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        }
        if hashed == nil {
            for byte in text.utf8 {
                hasher.combine(byte)
            }
        }
    }
}
