import ArgumentParser
import SpringgLog
import SpringgProjections

/// The state that the log stands for, without the node.
struct Digest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replays a log into fresh projections and prints the digest of what they hold.",
        discussion: "Equal to the digests that the node shows in an index's stats, if it holds what its log says."
    )

    @OptionGroup var source: Source
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let materializer = Materializer()
        let outcome = try source.scan().run { record throws(LogError) in
            let envelope = record.envelope
            guard let event = envelope.event else {
                throw .newerFormat(
                    segment: "the log",
                    offset: record.offset,
                    what: "at LSN \(record.lsn) an event of kind \(envelope.kindTag)"
                )
            }
            materializer.apply(event, of: envelope, recordBytes: record.recordBytes, lsn: record.lsn)
            if record.lsn.rawValue % 4096 == 0 { materializer.publish() }
        }
        materializer.publish()
        if json {
            let indexes = materializer.indexes.map {
                "{\"name\":\"\($0.name)\",\"digest\":\"\($0.digest)\",\"count\":\($0.count)}"
            }
            print(
                "{\"indexes\":[\(indexes.joined(separator: ","))],\"digest\":\"\(materializer.digest)\","
                    + "\"lsn\":\(outcome.lastLSN)}"
            )
        } else {
            for index in materializer.indexes { print("\(index.digest)  \(index.name)  \(index.count) vectors") }
            print("\(materializer.digest)  everything, up to LSN \(outcome.lastLSN)")
        }
    }
}
