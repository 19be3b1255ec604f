"""Mounts one disk of a log and leaves it so: look.py LOG SIZE POINT:VARIANT FOLDER FS [SEED]. For looking at by hand."""
import os, random, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import replay
log, size, which, folder, fs = sys.argv[1:6]
seed = sys.argv[6] if len(sys.argv) > 6 else "1"
entries, sector = replay.read_log(log)
point, variant = which.split(":"); point = int(point)
os.makedirs(folder + "/mnt", exist_ok=True)
disk = replay.Disk(folder + "/disk", int(size), log, entries, sector)
disk.go(point)
disk.copy(folder + "/cut", replay.window(entries, point) if variant == "mixed" else [], random.Random(f"{seed} {point}"))
os.remove(folder + "/disk")
subprocess.run(["mount", "-t", fs, "-o", "loop" + (",nouuid" if fs == "xfs" else ""), folder + "/cut", folder + "/mnt"], check=True)
print("\n".join(e.text for e in entries[:point] if e.text))
