public import SpringgLog
import Synchronization

/// Name of a mark: a letter, then up to 127 of `A-Z a-z 0-9 _ . -`, and not "latest".
///
/// So it can be told from everything else that names a moment: a time, a clock reading, an event, the newest state.
public struct MarkName: Hashable, Sendable, CustomStringConvertible {
    /// The name as text.
    public let description: String

    /// What a name may be, for error texts.
    public static let rule =
        "a letter, then up to \(EventLimits.indexNameBytesMax - 1) of A-Z a-z 0-9 _ . - (and not \"latest\")"

    /// Checks the text; nil when it is no name of a mark.
    public init?(_ text: String) {
        guard let first = text.utf8.first, first | 0x20 >= UInt8(ascii: "a"), first | 0x20 <= UInt8(ascii: "z"),
            text != "latest", IndexName(text) != nil
        else { return nil }
        description = text
    }

    /// The marks are last-writer-wins registers like rows, kept under the name that no index can have: so checkpoints,
    /// snapshots and replicas hold them without a word about marks.
    static let register = ""
}

/// A moment with a name.
public struct Mark: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// The event that set it: the state at the mark is that of all events up to this one.
    public let version: EventVersion
}

/// Where the marks are, for the writer and for readers.
final class MarkBook: Sendable {
    private let versions = Mutex<[String: EventVersion]>([:])

    func set(_ name: String, _ version: EventVersion) { versions.withLock { $0[name] = version } }

    subscript(name: MarkName) -> EventVersion? { versions.withLock { $0[name.description] } }

    var all: [Mark] {
        versions.withLock { $0.map { Mark(name: $0.key, version: $0.value) } }
            .sorted { ($0.version, $0.name) < ($1.version, $1.name) }
    }
}
