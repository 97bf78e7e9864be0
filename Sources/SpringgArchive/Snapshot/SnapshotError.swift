/// Every way in which a snapshot can fail.
///
/// Each description ends with what an operator can do.
package enum SnapshotError: Error, Sendable, CustomStringConvertible {
    /// There is no snapshot of that name, or none at all (nil).
    case notFound(id: String?, store: String)
    /// An object is not what was written; `object` is store and key.
    case damaged(object: String, reason: String)
    /// An object was written by a newer version.
    case newerFormat(object: String, what: String)
    /// A snapshot of the same newest event, but not of the same events, has the name.
    case taken(id: String, store: String)
    /// The store failed.
    case store(ObjectStoreError)
    /// The state cannot be put into a snapshot.
    case unfit(String)

    package var description: String {
        switch self {
        case .notFound(let id?, let store):
            "\(store) has no snapshot \(id), or several that begin so. `springg snapshot list --from \(store)` shows those it has."
        case .notFound(nil, let store):
            "\(store) has no snapshot. Make one with `springg snapshot create --to \(store)`."
        case .taken(let id, let store):
            "\(store) has a snapshot \(id) already, from before events came from other nodes that are older than the newest. Nothing was "
                + "replaced; with the next write there can be a new one."
        case .damaged(let object, let reason):
            "\(object): \(reason). Nothing was restored from it; use another snapshot or a copy of the object, and let "
                + "`springg snapshot verify` list what else is damaged."
        case .newerFormat(let object, let what): "\(object): \(what). Use the version that wrote it, or a newer one."
        case .store(let error): "\(error)"
        case .unfit(let reason): "\(reason). Nothing was written."
        }
    }
}
