/// A secret that tokens may be signed with.
public struct TokenKey: Sendable, Equatable {
    /// What a token's header calls it (`kid`); nil for tokens whose header names none.
    public let id: String?
    /// The HS256 secret.
    public let secret: String

    /// - Parameters:
    ///   - id: What tokens call it; nil for those that name none.
    ///   - secret: The HS256 secret.
    public init(id: String?, secret: String) {
        self.id = id
        self.secret = secret
    }
}

/// The secrets that a server checks tokens with.
///
/// A token's header chooses among them, but only by name and never the algorithm: a name that is not here is refused, and
/// is not tried with the others.
package struct TokenKeys: Sendable {
    private var named: [String: [UInt8]] = [:]
    private var nameless: [[UInt8]] = []

    package init(_ keys: [TokenKey]) {
        // With an empty secret anybody could sign: it is none.
        for key in keys where !key.secret.isEmpty {
            let secret = Array(key.secret.utf8)
            if let id = key.id {
                named[id] = secret
            } else {
                nameless.append(secret)
            }
        }
    }

    var isEmpty: Bool { named.isEmpty && nameless.isEmpty }

    /// What a token may be signed with.
    func candidates(for id: String?) -> [[UInt8]] {
        guard let id else {
            return nameless
        }
        return named[id].map { [$0] } ?? []
    }
}

/// The indexes that a token is for: names, and beginnings of names with a star behind them.
package struct IndexPatterns: Sendable, Equatable {
    /// Patterns of one token: as many as fit some screens, and a bound on what one request compares.
    static let countMax = 256

    private let patterns: [[UInt8]]

    package init?(_ patterns: [String]) {
        guard patterns.count <= Self.countMax else {
            return nil
        }
        self.patterns = patterns.map { Array($0.utf8) }
    }

    package func match(_ name: some Collection<UInt8>) -> Bool {
        patterns.contains { pattern in
            pattern.last == UInt8(ascii: "*") ? name.starts(with: pattern.dropLast()) : name.elementsEqual(pattern)
        }
    }
}
