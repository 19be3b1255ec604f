// Words of the rooms below that can be typed as options. Conformances only.

import ArgumentParser
import Jobs
import Scheduler
import Spool
import Tenants

extension JobState: @retroactive ExpressibleByArgument {}
extension JobKind: @retroactive ExpressibleByArgument {}
extension ReportType: @retroactive ExpressibleByArgument {}
extension OnBusy: @retroactive ExpressibleByArgument {}
extension ReportFormat: @retroactive ExpressibleByArgument {}
extension ReportFrequency: @retroactive ExpressibleByArgument {}
extension Weekday: @retroactive ExpressibleByArgument {}
extension WatchlistKind: @retroactive ExpressibleByArgument {}
extension ScheduleKind: @retroactive ExpressibleByArgument {}
extension Schedule.Misfire: @retroactive ExpressibleByArgument {}
extension Schedule.Overlap: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
