import SpringgTestKit
import Synchronization

/// What clients were told of their writes, and so what nodes may show in the end.
///
/// Of all writes to one id the latest is shown, by the clock and then the origin in their receipts. A write without an answer
/// may have been stored or not; one that was stored on a disk that is lost since, and on no other, too.
final class WriteLedger: Sendable, CustomStringConvertible {
    /// Who is later, as in the receipt: milliseconds and counter of the hybrid clock, the origin's digits.
    struct Version: Comparable {
        let milliseconds: UInt64
        let counter: UInt64
        let origin: String

        init?(_ receipt: JSONValue?) {
            let parts = (receipt?["hlc"]?.string ?? "").split(separator: ".").compactMap { UInt64($0) }
            guard parts.count == 2, let origin = receipt?["origin"]?.string else { return nil }
            (milliseconds, counter, self.origin) = (parts[0], parts[1], origin)
        }

        static func < (a: Version, b: Version) -> Bool {
            (a.milliseconds, a.counter, a.origin) < (b.milliseconds, b.counter, b.origin)
        }
    }

    private struct Write {
        /// Nil for a delete.
        let value: Float?
        let version: Version?
        let node: String
        let level: String
        var isCertain: Bool
    }

    private let writes = Mutex<[String: [Write]]>([:])

    /// Notes what became of a write of a value, or of a delete; each value is written once.
    func note(_ id: String, _ value: Float?, on node: String, _ answer: HTTPResponse?) throws {
        // A delete of what is not there, and whatever is not taken now, change nothing.
        if let answer, [404, 429, 503].contains(answer.status) { return }
        let receipt = try answer?.json()["receipt"]
        let version = Version(receipt)
        guard answer == nil || version != nil else { throw TestKitError("\(id) was answered \(answer?.status ?? 0)") }
        let write = Write(
            value: value,
            version: version,
            node: node,
            level: receipt?["ack"]?.string ?? "",
            isCertain: answer != nil
        )
        writes.withLock { $0[id, default: []].append(write) }
    }

    /// A node's disk is gone: what was acknowledged as being on this one only may be, too.
    func lost(diskOf node: String) {
        writes.withLock { writes in
            for (id, all) in writes {
                writes[id] = all.map { write in
                    var write = write
                    if write.node == node, write.level == "local" { write.isCertain = false }
                    return write
                }
            }
        }
    }

    var ids: [String] { writes.withLock { $0.keys.sorted() } }

    /// Why a node must not show this of an id (nil: that it is not there); nil when it may.
    func problem(_ id: String, shows value: Float?) -> String? {
        let all = writes.withLock { $0[id] ?? [] }
        var newest: (version: Version, write: Write)?
        for write in all where write.isCertain {
            if let version = write.version, newest.map({ $0.version < version }) ?? true { newest = (version, write) }
        }
        guard let newest else {
            let isPossible = value == nil || all.contains { $0.value == value }
            return isPossible ? nil : "\(id) is \(value ?? 0), which nobody wrote"
        }
        // A write whose answer did not come may be the latest.
        let isRight = all.contains { $0.value == value && ($0.version.map { $0 >= newest.version } ?? true) }
        guard !isRight else { return nil }
        func text(_ value: Float?) -> String { value.map { "\($0)" } ?? "deleted" }
        let promise = "\(text(newest.write.value)) by \(newest.write.node), acknowledged as \(newest.write.level)"
        return "\(id) is \(text(value)), and must be \(promise)"
    }

    /// Figures: ids, and acknowledged writes by level.
    var description: String {
        let (count, levels) = writes.withLock { writes in
            let levels = writes.values.joined().reduce(into: [:]) {
                $0[$1.isCertain ? $1.level : "unknown", default: 0] += 1
            }
            return (writes.count, levels)
        }
        let parts = levels.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return "\(count) ids; writes: " + parts.joined(separator: ", ")
    }
}
