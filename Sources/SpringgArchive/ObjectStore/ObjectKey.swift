/// The name of an object within a store: components between single slashes.
///
/// Any UTF-8 without control characters will do, but what Springg itself makes has letters, digits, `-`, `_` and `.` only, and
/// numbers padded with zeros: stores differ in where they sort a slash.
public struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The key as the store sees it behind its prefix.
    public let text: String

    /// Together with a prefix (`ObjectStoreURL.prefixBytesMax`) below the 1,024 bytes that S3 allows.
    public static let bytesMax = 700
    /// What file systems allow for one name.
    static let componentBytesMax = 255
    /// The folder in which a directory store gathers uploads, and so no beginning of a key.
    static let reserved = ".incoming"

    /// Checks a key that came from elsewhere, such as a listing or a manifest.
    /// - Throws: `.invalidKey`, which names the rule that is broken.
    public init(_ text: String) throws(ObjectStoreError) {
        if let problem = ObjectKey.problem(with: text) { throw .invalidKey(text, problem) }
        self.text = text
    }

    /// The rule that `text` breaks, if any.
    static func problem(with text: String) -> String? {
        guard !text.isEmpty else { return "it is empty" }
        guard text.utf8.count <= bytesMax else { return "it has more than \(bytesMax) bytes" }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return "it holds a control character" }
        let components = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for component in components {
            guard !component.isEmpty else { return "it begins or ends with a slash or has two in a row" }
            guard component.count <= componentBytesMax else {
                return "a part between slashes has more than \(componentBytesMax) bytes"
            }
            guard !component.elementsEqual(".".utf8), !component.elementsEqual("..".utf8) else {
                return "a part between slashes is . or .."
            }
        }
        guard components.first?.elementsEqual(reserved.utf8) != true else { return "\(reserved) is reserved" }
        return nil
    }

    /// The order of the UTF-8 bytes, as S3 lists.
    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    /// Equal bytes; Swift's own comparison of strings would take two spellings of one letter for the same.
    public static func == (left: ObjectKey, right: ObjectKey) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    /// Follows the bytes, as `==` does.
    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }

    /// The key itself.
    public var description: String { text }
}
