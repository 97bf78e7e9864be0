import ArgumentParser
import LogTools
import SpringgArchive
import SpringgLog
import SpringgProjections

/// The state that the log stands for, without the node.
struct Digest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replays a log into fresh projections and prints the digest of what they hold.",
        discussion: """
            Equal to the digests that the node shows in an index's stats, if it holds what its log says. Where the log's \
            beginning has been removed the replay begins with the oldest checkpoint that the log continues.

            Exit status 0 fine, 1 failed, 2 wrong usage, 6 something in the log is damaged or missing.

            Examples:
              logdump digest DIR
              logdump digest DIR --json
            """
    )

    @OptionGroup var source: Source
    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let (materializer, last) = try state()
        Progress.clear()
        if json {
            let indexes = materializer.indexes.map { index in
                var line = JSONLine()
                line.string("name", "\(index.name)")
                line.string("digest", "\(index.digest)")
                line.number("count", index.count)
                return line.text
            }
            var line = JSONLine()
            line.array("indexes", indexes)
            line.string("digest", "\(materializer.digest)")
            line.lsn("lsn", last)
            Output.line(line.text)
        } else {
            for index in materializer.indexes { Output.line("\(index.digest)  \(index.name)  \(index.count) vectors") }
            Output.line("\(materializer.digest)  everything, up to LSN \(last)")
        }
    }

    private func state() throws -> (Materializer, LSN) {
        guard !LogStores.isStore(source.path) else {
            let past = try Past(source.path, at: .target(.latest))
            let state = try past.source.load(past.prospect) { Progress.show("\($0)") }
            return (state.materializer, state.base.lsn)
        }
        let (log, data) = try source.directory()
        let (materializer, base) = try DeepCheck.begin(log: log, data: data, PosixFileSystem())
        let outcome = try source.scan().run(from: base) { record throws(LogError) in
            try materializer.replay(record)
            Progress.show("LSN \(record.lsn)")
        }
        materializer.publish()
        return (materializer, outcome.lastLSN)
    }
}
