/// The file that says that a data directory is being built by a restore.
///
/// It is durable before anything else is there and goes last: with it, a directory is not used.
package enum RestoreMarker {
    package static let fileName = "RESTORING"
}
