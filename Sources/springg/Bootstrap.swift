import Logging
import SpringgArchive
import SpringgConfiguration
import SpringgLog

/// What a node does first that has an archive and an empty data directory: it takes the newest state from there.
///
/// A node that began empty beside an archive full of data would answer "not found" to everybody, and archive that. So it starts
/// with what the archive has, or not at all; who wants it empty says so (`s3_bootstrap`).
struct Bootstrap {
    let settings: Configuration
    let logger: Logger

    /// The log gets a line so often.
    private static let lineSeconds = 5.0

    /// Fills the data directory, if it is empty and there is an archive.
    /// - Throws: `CommandFailure` when the archive cannot be read, or not whole.
    func run(progress: @escaping (RestoreProgress) -> Void) throws {
        let path = settings[Keys.dataPath]
        let restorer = Restorer(fileSystem: PosixFileSystem(), segmentBytes: settings[Keys.logSegmentMB] << 20)
        guard settings[Keys.s3Bootstrap], restorer.canBegin(in: path, to: .latest),
            let archive = try Stores(settings).archive(createIfMissing: true)
        else { return }
        defer { archive.close() }
        do {
            let source = try RestoreSource(archiveIfAny: archive)
            guard source.archive != nil else {
                logger.info("The archive is empty, and so is this node", metadata: ["archive": "\(archive.location)"])
                return
            }
            let prospect = try source.prospect(.latest, excluding: false)
            logger.info(
                "The data directory is empty: taking the state from the archive",
                metadata: [
                    "archive": "\(archive.location)", "data_path": "\(path)",
                    "snapshot": "\(prospect.snapshot?.id ?? "none")", "events": "\(prospect.plan.events)",
                    "bytes": "\(UInt64(prospect.snapshot?.objectBytes ?? 0) + prospect.plan.bytes)",
                ]
            )
            var generator = SystemRandomNumberGenerator()
            let started = ContinuousClock.now
            var lastLine = started
            let report = try restorer.restore(
                prospect,
                from: source,
                into: path,
                origin: OriginID(using: &generator),
                progress: { [logger] done in
                    progress(done)
                    guard ContinuousClock.now - lastLine >= .seconds(Bootstrap.lineSeconds) else { return }
                    lastLine = .now
                    logger.info("Taking the state from the archive: \(done)")
                }
            )
            for damage in report.damagedGraphs {
                logger.warning("A graph in the archive cannot be used, it is built anew from its rows: \(damage)")
            }
            logger.info(
                "The state is here",
                metadata: [
                    "vectors": "\(report.rows)", "linked": "\(report.rowsLinked)", "indexes": "\(report.indexes)",
                    "digest": "\(report.digest)",
                    "last_event": "\(report.highestHLC.utc)", "origin": "\(report.origin)",
                    "seconds": "\(((ContinuousClock.now - started) / .milliseconds(1)).rounded() / 1000)",
                ]
            )
        } catch {
            throw CommandFailure(
                "the data directory \(path) is empty, and the archive \(archive.location) cannot be restored: \(error)",
                advice: "start again when it can be read: what was fetched is kept. To begin empty on purpose: "
                    + "--s3-bootstrap false"
            )
        }
    }
}

extension Node {
    /// What an archive can do about a log that is refused.
    static func archiveAdvice(for error: any Error, _ settings: Configuration) -> String? {
        guard case .corrupt? = error as? LogError, let place = try? archivePlace(settings) else { return nil }
        let path = settings[Keys.dataPath]
        let endpoint = settings[Keys.s3Endpoint]
        return "the archive may have what is lost: "
            + (endpoint.isEmpty ? "" : "SPRINGG_S3_ENDPOINT=\(endpoint) ")
            + "logdump salvage \(path) --archive \(place) --out \(path).salvaged"
    }
}
