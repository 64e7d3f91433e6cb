"""What people and scripts are shown: the fleet now, its figures, its post-mortems, and the doctor's."""
