import SpringgConfiguration
import SpringgProjections
import SpringgTransfer

/// What an import found and did, for people and for programs.
struct ImportReport {
    /// One index.
    struct Entry {
        var source: ImportSource
        var check: ImportCheck
        /// Nil when nothing was written.
        var outcome: ImportOutcome?
    }

    let isDryRun: Bool
    var entries: [Entry] = []
    var seconds = 0.0

    init(isDryRun: Bool) { self.isDryRun = isDryRun }

    var flawCount: Int { entries.reduce(0) { $0 + $1.check.flawCount } }

    static func flaws(_ count: Int) -> String { count == 1 ? "1 flaw" : "\(count) flaws" }

    mutating func add(_ source: ImportSource, _ check: ImportCheck) {
        entries.append(Entry(source: source, check: check))
    }

    /// The result on standard output; flaws and warnings on standard error, unless a program reads.
    func print(asJSON isJSON: Bool) {
        guard !isJSON else { return Output.standardOutput(json.text() + "\n") }
        for entry in entries {
            let check = entry.check
            for flaw in check.flaws { Output.standardError("flaw: \(flaw)\n") }
            if check.flawCount > check.flaws.count {
                Output.standardError("… and \(check.flawCount - check.flaws.count) more in \(entry.source.path)\n")
            }
            if !check.droppedFields.isEmpty {
                Output.standardError(
                    "warning: \(entry.source.path) has fields that are not kept: "
                        + check.droppedFields.joined(separator: ", ") + "\n"
                )
            }
            let dimensions = check.dimensions.map { " of \($0) dimensions" } ?? ""
            let what = "\(entry.source.index): \(check.rows) vectors\(dimensions) in \(entry.source.path)"
            if let outcome = entry.outcome {
                Output.standardOutput(
                    "\(what): \(outcome.added) added, \(outcome.replaced) replaced, \(outcome.unchanged) there already"
                        + (check.flawCount > 0 ? ", \(Self.flaws(check.flawCount)) left out" : "") + "\n"
                )
            } else if isDryRun {
                Output.standardOutput("\(what): \(check.flawCount == 0 ? "in order" : Self.flaws(check.flawCount))\n")
            }
        }
    }

    private var json: JSONValue {
        .object([
            "imported": .boolean(!entries.isEmpty && entries.allSatisfy { $0.outcome != nil }),
            "seconds": .number(seconds),
            "flaws": .integer(Int64(flawCount)),
            "indexes": .array(entries.map(object)),
        ])
    }

    private func object(_ entry: Entry) -> JSONValue {
        let check = entry.check
        var members: [String: JSONValue] = [
            "index": .string(entry.source.index.description),
            "path": .string(entry.source.path),
            "vectors": .integer(Int64(check.rows)),
            "bytes": .integer(Int64(check.bytes)),
            "flaw_count": .integer(Int64(check.flawCount)),
            "flaws": .array(check.flaws.map(object)),
            "dropped_fields": .array(check.droppedFields.map { .string($0) }),
        ]
        if let dimensions = check.dimensions { members["dimensions"] = .integer(Int64(dimensions)) }
        if let outcome = entry.outcome {
            members["added"] = .integer(Int64(outcome.added))
            members["replaced"] = .integer(Int64(outcome.replaced))
            members["unchanged"] = .integer(Int64(outcome.unchanged))
        }
        return .object(members)
    }

    private func object(_ flaw: SourceFlaw) -> JSONValue {
        var members: [String: JSONValue] = [
            "path": .string(flaw.place.path), "offset": .integer(Int64(flaw.place.offset)),
            "reason": .string(flaw.reason),
        ]
        if let line = flaw.place.line { members["line"] = .integer(Int64(line)) }
        return .object(members)
    }
}
