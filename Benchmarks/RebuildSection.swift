import SpringgLog
import SpringgProjections
import SpringgTestKit

/// The vector store made anew from the log alone, beside reading and checking that log; both by one thread.
enum RebuildSection {
    private static let rows = 100_000
    private static let rounds = 7

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(
            title: "rebuilding the store from a log of \(rows) × \(Settings.dimensions), files in the page cache"
        )
        let place = try TemporaryDirectory(in: settings.directory)
        try writeLog(in: place.path, seed: settings.seed)
        let scan = LogScan(directory: place.path, fileSystem: PosixFileSystem())
        var bytes = 0
        var reading: [Double] = []
        var rebuilding: [Double] = []
        for _ in 0..<rounds {
            bytes = 0
            reading.append(
                try Monotonic.seconds {
                    _ = try scan.run { record throws(LogError) in bytes += record.recordBytes }
                }
            )
            // What a database's memory costs to give back is not a start's.
            let state = Materializer()
            rebuilding.append(
                try Monotonic.seconds {
                    _ = try scan.run { record throws(LogError) in try state.replay(record) }
                    state.publish()
                }
            )
            guard state.indexes.first?.count == rows else { throw TestKitError("rows are missing") }
        }
        let (read, rebuilt) = (median(reading), median(rebuilding))
        report.add("reading and checking the log", Double(bytes) / read / 1e9, "GB/s")
        report.add("rebuilding the store from it", Double(bytes) / rebuilt / 1e9, "GB/s")
        report.add("rebuilding / reading", read / rebuilt, "×", .atLeast(0.6))
        return report
    }

    private static func writeLog(in directory: String, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var options = LogOptions()
        options.durability = .interval(milliseconds: 1000)
        let (_, writer, _) = try Log.open(
            directory: directory,
            options: options,
            fileSystem: PosixFileSystem(),
            newOrigin: OriginID(high: 1, low: 1)
        ) { _ in }
        func append(_ event: EncodedEvent, _ number: Int) throws {
            if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
            _ = try writer.stage(event, hlc: HLC(milliseconds: UInt64(number), counter: 0), seen: .none)
        }
        try append(.indexCreated(name: "a", dimensions: Settings.dimensions, options: .empty), 1)
        for row in 0..<rows { try append(EventSet.put("a", "row-\(row)", random.floats(Settings.dimensions)), row + 2) }
        try writer.commit()
        writer.close()
    }
}
