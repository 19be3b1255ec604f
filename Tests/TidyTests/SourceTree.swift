// The checkout's own sources, as the tidy tests read them.

import DurableFiles
import Foundation
import TestSupport

struct SourceFile {
    /// Relative to the checkout.
    var path: String
    var lines: [Substring]

    var target: String { String(path.split(separator: "/")[1]) }
    var isTest: Bool { path.hasPrefix("Tests/") }
}

enum SourceTree {
    static let root: String = {
        // .../Tests/TidyTests/SourceTree.swift
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }()

    private static let files = LinuxFileSystem()

    static func text(_ path: String) throws -> String {
        String(decoding: try files.readFile("\(root)/\(path)"), as: UTF8.self)
    }

    static func exists(_ path: String) throws -> Bool { try files.exists("\(root)/\(path)") }

    static func swiftFiles(in folder: String) throws -> [SourceFile] {
        var found: [SourceFile] = []
        var open = [folder]
        while let next = open.popLast() {
            for entry in try files.list("\(root)/\(next)").sorted(by: { $0.name < $1.name }) {
                let path = "\(next)/\(entry.name)"
                if entry.kind == .directory { open.append(path) }
                if entry.kind == .regular, path.hasSuffix(".swift") {
                    let lines = try text(path).split(separator: "\n", omittingEmptySubsequences: false)
                    found.append(SourceFile(path: path, lines: lines))
                }
            }
        }
        return found
    }

    static func markdownFiles() throws -> [String] {
        var found = try files.list(root).map(\.name).filter { $0.hasSuffix(".md") }
        for folder in ["docs", "docs/decisions", "spool", "deploy"] where try exists(folder) {
            found += try files.list("\(root)/\(folder)").map(\.name).filter { $0.hasSuffix(".md") }
                .map { "\(folder)/\($0)" }
        }
        return found
    }
}
