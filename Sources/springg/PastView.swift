import Logging
import SpringgArchive
import SpringgConfiguration
import SpringgLog
import SpringgProjections

/// What `springg serve --as-of` shows: a data directory at a moment, read once and held in memory.
struct PastView {
    let target: RestoreTarget
    /// A store of snapshots for what the log no longer holds.
    let snapshots: String?

    /// Reads the state beside the node that may be writing the directory.
    func open(_ settings: Configuration, logger: Logger) throws -> Database {
        let options = Node.databaseOptions(settings) { _ in }
        let sources = [options.dataPath] + (snapshots.map { [$0] } ?? [])
        let source = try Stores(settings).source(sources)
        let state: PastState
        let prospect: RestoreProspect
        do throws(RestoreError) {
            prospect = try source.prospect(target, excluding: false, wantsHistory: false)
            state = try source.load(prospect, graphThreads: max(1, options.indexingThreads))
        } catch {
            throw CommandFailure("\(error)")
        }
        for damage in state.damagedGraphs {
            logger.warning("A graph cannot be used, it is built anew from its rows: \(damage)")
        }
        let moment = "\(target == .latest ? "now" : "\(target)"), HLC \(state.base.highestHLC)"
        logger.info(
            "Opened the past, read-only",
            metadata: [
                "data_path": "\(options.dataPath)", "as_of": "\(target)", "hlc": "\(state.base.highestHLC)",
                "last_event": "\(state.base.highestHLC.utc)", "events": "\(state.base.heads.events)",
            ]
        )
        return Database.past(
            state.materializer,
            base: state.base,
            origin: prospect.log?.origin ?? .none,
            options: options,
            refusal: "this server shows the data as of \(moment), and takes no writes"
        )
    }
}
