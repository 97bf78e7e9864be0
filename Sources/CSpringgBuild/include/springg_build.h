// Which version this is, and where and when it was built, as the build was told (Package.swift reads two environment variables).
#ifndef SPRINGG_BUILD_H
#define SPRINGG_BUILD_H

/// The version of all programs.
const char *springg_version(void);

/// Time of the build, or "unknown".
const char *springg_build_time(void);

/// Commit the build was made from, or "unknown".
const char *springg_git_commit(void);

#endif
