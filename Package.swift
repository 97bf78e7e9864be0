// swift-tools-version: 6.1
import PackageDescription

// Imports run one way only, and Tests/RepositoryTests holds that:
// springg, logdump → SpringgNet, SpringgTransfer → SpringgArchive, SpringgCluster → SpringgProjections → SpringgLog → C targets.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// What `springg version` and `logdump --version` show as build time and commit; "unknown" unless the build is told (see Makefile).
let buildTime = Context.environment["SPRINGG_BUILD_TIME"] ?? "unknown"
let gitCommit = Context.environment["SPRINGG_GIT_COMMIT"] ?? "unknown"

let package = Package(
    name: "springg",
    products: [
        .executable(name: "springg", targets: ["springg"]),
        .executable(name: "logdump", targets: ["logdump"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // C: kernels, checksums, the JSON reader. System libraries: module maps only.
        .target(
            name: "CSpringg",
            cSettings: [.unsafeFlags(["-O3"])],
            cxxSettings: [.unsafeFlags(["-O3"])]
        ),
        .target(
            name: "CSpringgBuild",
            cSettings: [
                .define("SPRINGG_BUILD_TIME", to: "\"\(buildTime)\""),
                .define("SPRINGG_GIT_COMMIT", to: "\"\(gitCommit)\""),
            ]
        ),
        // The page and the API's description, as files of their own that are part of the program.
        .target(name: "CSpringgPages", exclude: ["index.html", "openapi.json"]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        .target(name: "SpringgLog", dependencies: ["CSpringg"], swiftSettings: settings),
        .target(name: "SpringgProjections", dependencies: ["SpringgLog", "CSpringg"], swiftSettings: settings),
        // Files in and out: the Go program's, JSON lines, NumPy.
        .target(
            name: "SpringgTransfer",
            dependencies: ["SpringgProjections", "SpringgLog", "CSpringg"],
            swiftSettings: settings
        ),
        .target(
            name: "SpringgArchive",
            dependencies: [
                "SpringgProjections", "SpringgLog", "SpringgConfiguration", "CSpringg", "CZstd", "CCurl", "COpenSSL",
            ],
            swiftSettings: settings
        ),
        // Pure cores of what nodes say to each other: no sockets, no clock.
        .target(
            name: "SpringgCluster",
            dependencies: ["SpringgLog", "CSpringg", "COpenSSL"],
            swiftSettings: settings
        ),
        .target(
            name: "SpringgNet",
            dependencies: [
                "SpringgArchive", "SpringgProjections", "SpringgCluster", "SpringgLog", "CSpringg", "CSpringgPages",
                "COpenSSL",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        // The pure parts of the command line: a test cannot import an executable.
        .target(name: "SpringgConfiguration", dependencies: ["CSpringg"], swiftSettings: settings),
        .executableTarget(
            name: "springg",
            dependencies: [
                "SpringgConfiguration", "SpringgNet", "SpringgTransfer", "SpringgArchive", "SpringgCluster",
                "SpringgProjections", "SpringgLog",
                "CSpringgBuild",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        // The parts of logdump: a test cannot import an executable.
        .target(
            name: "LogTools",
            dependencies: ["SpringgProjections", "SpringgLog", "CSpringg", "CZstd"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "logdump",
            dependencies: [
                "LogTools", "SpringgArchive", "SpringgProjections", "SpringgLog", "CSpringg", "CSpringgBuild",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "tools/logdump",
            swiftSettings: settings
        ),

        .testTarget(
            name: "ConfigurationTests",
            dependencies: ["SpringgConfiguration", "SpringgTestKit"],
            swiftSettings: settings
        ),
        .testTarget(name: "RepositoryTests", swiftSettings: settings),
        // Tests. The test kit: a client, a load generator and a fixture that runs the real programs.
        .target(name: "CTestKit", cSettings: [.unsafeFlags(["-O3"])]),
        .target(
            name: "SpringgTestKit",
            dependencies: ["CTestKit", "SpringgArchive", "SpringgLog"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgLogTests",
            dependencies: ["SpringgLog", "SpringgTestKit", "CSpringg"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgProjectionsTests",
            dependencies: ["SpringgProjections", "SpringgLog", "SpringgTestKit", "CSpringg"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgTransferTests",
            dependencies: ["SpringgTransfer", "SpringgProjections", "SpringgLog", "SpringgTestKit"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgArchiveTests",
            dependencies: ["SpringgArchive", "SpringgProjections", "SpringgLog", "SpringgTestKit", "COpenSSL"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgClusterTests",
            dependencies: ["SpringgCluster", "SpringgLog", "SpringgTestKit"],
            swiftSettings: settings
        ),
        // Clusters of real cores and real logs in one thread, by seed.
        .testTarget(
            name: "SimulationTests",
            dependencies: ["SpringgCluster", "SpringgArchive", "SpringgProjections", "SpringgLog", "SpringgTestKit"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgNetTests",
            dependencies: [
                "SpringgNet", "SpringgCluster", "SpringgProjections", "SpringgTestKit",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LogToolsTests",
            dependencies: ["LogTools", "SpringgProjections", "SpringgLog", "SpringgTestKit", "CZstd"],
            swiftSettings: settings
        ),
        .testTarget(name: "TestKitTests", dependencies: ["SpringgTestKit"], swiftSettings: settings),
        // simdjson is the oracle of the reader's tests and its peer in the benchmark; nothing else links it.
        .target(name: "CSimdjson", path: "Tests/CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .testTarget(name: "CSpringgTests", dependencies: ["CSpringg", "CSimdjson"], swiftSettings: settings),
        // The real programs over HTTP, on the command line and by signals: built before these tests run.
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "SpringgTestKit", "SpringgNet", "SpringgCluster", "SpringgArchive", "SpringgLog", "COpenSSL", "springg",
                "logdump", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "bench",
            dependencies: [
                "SpringgTestKit", "CTestKit", "SpringgArchive", "SpringgProjections", "SpringgLog", "CSpringg",
                "CSimdjson",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks",
            exclude: ["peers"],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
