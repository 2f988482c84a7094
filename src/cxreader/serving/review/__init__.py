"""What a trial is watched by: agreement of readers with the answers, rejected alarms over time, volumes, turnaround, refusals."""
