import ArgumentParser
@main struct Nanobot: AsyncParsableCommand { }
