import ArgumentParser
import Glibc
import SpringgLog
import SpringgProjections

/// One line a record.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the records of a log, one line each.")

    @OptionGroup var source: Source
    @Option(help: "First LSN to print.") var from: UInt64 = 1
    @Option(help: "Last LSN to print.") var to: UInt64 = .max
    @Option(help: "Print at most this many records.") var limit: Int = .max
    @Flag(help: "One JSON object a line.") var json = false

    func run() throws {
        if !json { print("LSN\tSEQUENCE\tHLC (UTC)\tKIND\tINDEX\tID\tDIMENSIONS\tBYTES") }
        var printed = 0
        _ = try source.scan().run { record throws(LogError) in
            guard printed < limit, from <= record.lsn.rawValue, record.lsn.rawValue <= to else { return }
            printed += 1
            print(json ? line(record) : row(record))
        }
    }

    private struct Fields {
        var kind: String
        var index = ""
        var id: String?
        var dimensions: Int?
    }

    private func fields(_ record: LogRecord) -> Fields {
        switch record.envelope.event {
        case .indexCreated(let name, let dimensions, _)?:
            Fields(kind: "indexCreated", index: name, dimensions: dimensions)
        case .indexDeleted(let name)?:
            Fields(kind: "indexDeleted", index: name)
        case .vectorPut(let index, let id, let vector, _)?:
            Fields(
                kind: "vectorPut",
                index: index,
                id: String(decoding: id, as: UTF8.self),
                dimensions: vector.count / 4
            )
        case .vectorDeleted(let index, let id)?:
            Fields(kind: "vectorDeleted", index: index, id: String(decoding: id, as: UTF8.self))
        case .mark(let name)?:
            Fields(kind: "mark", id: name)
        case nil:
            Fields(kind: "unknown(\(record.envelope.kindTag))")
        }
    }

    private func row(_ record: LogRecord) -> String {
        let fields = fields(record)
        let hlc = record.envelope.version.hlc
        return [
            "\(record.lsn)", "\(record.envelope.sequence)", "\(timestamp(hlc)).\(hlc.counter)", fields.kind,
            fields.index, fields.id ?? "", fields.dimensions.map(String.init) ?? "", "\(record.recordBytes)",
        ].joined(separator: "\t")
    }

    private func line(_ record: LogRecord) -> String {
        let fields = fields(record)
        var parts = [
            "\"lsn\":\(record.lsn)", "\"origin\":\"\(record.envelope.origin)\"",
            "\"sequence\":\(record.envelope.sequence)", "\"hlc\":\"\(record.envelope.version.hlc)\"",
            "\"time\":\"\(timestamp(record.envelope.version.hlc))\"", "\"kind\":\"\(fields.kind)\"",
            "\"index\":\"\(fields.index)\"",
        ]
        if let id = fields.id { parts.append("\"id\":\"\(escaped(id))\"") }
        if let dimensions = fields.dimensions { parts.append("\"dimensions\":\(dimensions)") }
        parts.append("\"bytes\":\(record.recordBytes)")
        return "{" + parts.joined(separator: ",") + "}"
    }

    private func timestamp(_ hlc: HLC) -> String {
        var seconds = time_t(hlc.milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        return
            "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
            + "T\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
            + ".\(digits(Int(hlc.milliseconds % 1000), 3))Z"
    }
}
