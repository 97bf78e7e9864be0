package import SpringgLog

/// Records that are no file here, one after the other: those of an archive.
package protocol RecordFeed {
    /// Visits once and in order, until `visit` returns false, every record whose clock reading is within these bounds (Unix
    /// milliseconds, both included; nil: none), and perhaps others.
    func forEach(since: UInt64?, until: UInt64?, _ visit: (LogRecord) throws -> Bool) throws
}
