import SpringgLog

/// Name of an index: 1 to 128 of `A-Z a-z 0-9 _ . -`, but not "." or "..".
///
/// Never used as a path.
public struct IndexName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name as text.
    public let description: String

    /// What a name may be, for error texts.
    public static let rule = "1 to \(EventLimits.indexNameBytesMax) of A-Z a-z 0-9 _ . - (not \".\" or \"..\")"

    /// Checks the text; nil when it is no name of an index.
    public init?(_ text: String) {
        guard (1...EventLimits.indexNameBytesMax).contains(text.utf8.count), text != ".", text != "..",
            text.utf8.allSatisfy(IndexName.isAllowed)
        else { return nil }
        description = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Orders by bytes.
    public static func < (a: IndexName, b: IndexName) -> Bool { a.description < b.description }
}
