import CSpringgBuild

/// Which Springg this is.
enum BuildInformation {
    /// The version, here and nowhere else.
    static let version = "0.1.0"
    static let buildTime = String(cString: springg_build_time())
    static let gitCommit = String(cString: springg_git_commit())

    /// The four lines of `springg version`.
    static let text = """
        Springg Vector Database
        Version: \(version)
        Build Time: \(buildTime)
        Git Commit: \(gitCommit)
        """
}
