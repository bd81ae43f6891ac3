"""What tests share: samples, small campaigns, engines, faults; imported as tests.support.x."""
