// `schedule next`: when an expression fires. Touches no home unless the time zone is to be found there.

import ArgumentParser
import Foundation
import Runtime
import Scheduler
import TextFormats

struct NextFires: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next",
        abstract: "Print the next times an expression fires.",
        discussion: """
            One a line, RFC 3339 with the offset of the time zone at that moment; fewer
            lines than --count when it does not fire that often, none when it never does.
            --from itself is not among them. With --json an array of strings. A time that
            the change to summer time leaves out fires at the first moment after the gap;
            one that occurs twice fires once. Intervals such as PT15M are counted from
            --from.

            Examples:
              nanobot schedule next "0 9 * * mon-fri" --timezone America/New_York
              nanobot schedule next "30 2 * * *" --from 2026-03-28T12:00:00Z --count 2
            """)

    @Argument(help: ArgumentHelp("Cron fields, 09:00, \"monday 09:00\", PT15M or RFC 3339.", valueName: "expression"))
    var expression: String

    @Option(help: ArgumentHelp("IANA time zone. (default: the service's default_timezone)", valueName: "zone"))
    var timezone: String?

    @Option(help: ArgumentHelp("Times after this one, RFC 3339. (default: now)", valueName: "time"))
    var from: String?

    @Option(help: ArgumentHelp("How many, 1 to 1000.", valueName: "n"))
    var count = 5

    @Option(help: "Form of the expression: daily, weekly, cron, every or at. (default: as it looks)")
    var kind: ScheduleKind?

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        guard (1...1_000).contains(count) else { throw ValidationError("--count must be a number from 1 to 1000.") }
    }

    func run() throws {
        var start = Date()
        if let from {
            guard let time = RFC3339.date(from) else {
                throw CommandFailure.usage(
                    "\"\(from)\" is no RFC 3339 time, such as 2026-03-28T12:00:00Z", field: "--from")
            }
            start = time
        }
        let name = try timezone ?? SettingsReader(environment: common.environment).read(common.location).defaultTimezone
        let zones = ZoneCatalog()
        let zone = try zones.rules(name)
        let fires = try ReportScheduler.nextFires(
            expression, kind: kind, timezone: name, from: start, count: count, zones: zones)
        let texts = fires.map { Moment.local($0, in: zone) }
        try common.answer(JSON(texts), texts)
        if texts.isEmpty { common.remark("it never fires after \(RFC3339.string(start))") }
    }
}
