/// Why bytes from the network are not a message that can be taken.
package enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes end within a value; in a stream, more may come.
    case truncated
    /// A value has another type or form than its place asks for.
    case malformed(String)
    /// A length or a number is beyond its bound.
    case beyondLimit(String)
    /// The checksum is not that of the bytes.
    case checksum
    /// The label is not ours, or one is missing or not expected.
    case label
    /// No key of the ring opens this, or it is not encrypted although it must be.
    case undecryptable
    /// A message type that nobody knows, or one that has no place here.
    case unexpectedType(UInt8)

    package var description: String {
        switch self {
        case .truncated: "the bytes end within a value"
        case .malformed(let what): "malformed: \(what)"
        case .beyondLimit(let what): "beyond its bound: \(what)"
        case .checksum: "wrong checksum"
        case .label: "another label; give all nodes of a cluster the same cluster_label"
        case .undecryptable: "no key opens it; give all nodes of a cluster the same cluster_keys"
        case .unexpectedType(let type): "unexpected message type \(type)"
        }
    }
}
