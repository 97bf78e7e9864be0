import CSpringgBuild

/// Which Springg this is.
enum BuildInformation {
    static let version = String(cString: springg_version())
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
