// Everything the API serves, handed in by Runtime. A plain value of shared, thread-safe objects.

import Accounts
import Identity
import Jobs
import Scheduler
import Tenants

/// The rooms behind the API. All calls on them block and go through `BlockingBridge`.
public struct APIServices: Sendable {
    public var accounts: Accounts
    public var configs: UserConfigManager
    public var workspaces: WorkspaceManager
    public var budgets: BudgetDesk
    public var tokens: TokenDesk
    public var jobs: JobClient
    public var watcher: StatusWatcher
    public var scheduler: ReportScheduler
    public var conversations: any ConversationDirectory
    public var clientConversations: any ClientConversations
    public var skills: any SkillDirectory
    public var reports: any ReportLibrary
    public var status: any ServiceStatus
    public var models: ModelDirectory

    public init(
        accounts: Accounts, configs: UserConfigManager, workspaces: WorkspaceManager,
        budgets: BudgetDesk, tokens: TokenDesk, jobs: JobClient, watcher: StatusWatcher, scheduler: ReportScheduler,
        conversations: any ConversationDirectory, clientConversations: any ClientConversations, skills: any SkillDirectory,
        reports: any ReportLibrary, status: any ServiceStatus,
        models: ModelDirectory
    ) {
        self.accounts = accounts
        self.configs = configs
        self.workspaces = workspaces
        self.budgets = budgets
        self.tokens = tokens
        self.jobs = jobs
        self.watcher = watcher
        self.scheduler = scheduler
        self.conversations = conversations
        self.clientConversations = clientConversations
        self.skills = skills
        self.reports = reports
        self.status = status
        self.models = models
    }
}
