package import SpringgLog

/// Records that are no file here, one after the other: those of an archive.
package protocol RecordFeed {
    /// Visits every record once, in order, until `visit` returns false.
    func forEach(_ visit: (LogRecord) throws -> Bool) throws
}
