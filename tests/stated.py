"""Numbers of pages that come from no committed row, by the words around them and by what they are instead.

Keys are regular expressions over a page's text on one line. `SECTIONS` are headings, `PAGE#TITLE`, under which all
numbers are so, and whole pages. A page that has measurements of `ONE_DAY` has to say so itself, in these words.
"""

ONE_DAY = "rows were not kept"
SET, OTHERS, CALCULATED, ELSEWHERE = "set", "published by others", "calculated", "tied by another test"

# On every page.
EVERYWHERE = {
    r"95 % (confidence |score )?interval": SET,
    r"\b(at )?1 (%|and 2 %)": SET,
    r"\b65 % (of the weights left|removed)": SET,
    r"\b(1?0|5|1|2),000 (random |training )?(test |training )?(images|pictures|runs|epochs)\b": SET,
    r"(of|over|on|all|of all) \(?10,000\b": SET,
    r"[\d,]+ (steps|epochs)": SET,
    r"weight decay(?: of)? [\d.]+( instead of [\d.]+)?": SET,
    r"[Ll]earning rate [\d.]+": SET,
    r"\d[\d,]+, 1,000 and 2,000 epochs": SET,
    r"version \d\.\d\.\d": "a version",
    r"at density 0\.125": SET,
    r"(Python|TensorFlow|PyTorch|Ray|Runtime|numba|zig|License) \d+(\.\d+)+( to 3\.\d+)?": "a version",
    r"\b(0\.8|4\.3|3\.5|12\.5|12\.5 and 1\.5) % (of (the|its) weights|left)": SET,
    r"[Ss]eed \d": SET,
    r"width \d+": SET,
    r"17 MB": "the size of a package",
    r"the smallest (possible|two-sided) p is [\d.]+": CALCULATED,
    r"\b66\.5 % (at best )?\(": OTHERS,
    r"batch 1(00)?\b": SET,
    r"at (most|least) [\d.]+( s|, at width 64 1\.1)?": "wanted",
}

STATED = {
    "README.md": {
        r"7 to 20 minutes on two cores, depending on the processor": "by the machine",
        r"55\.2 % \(tuned WRN-16-8\)": OTHERS,
        r"one point over 1,000": SET,
    },
    "docs/augmentation.md": {
        r"runs at 2\.2 times the Pillow pipeline on the same two cores, and 6\.9 times keras-cv's": ONE_DAY,
    },
    "docs/coming_from_keras.md": {r"[Pp]rune (it )?to 80 %": SET},
    "docs/data_sets.md": {r"all 60,000 images": SET},
    "docs/looking_inside.md": {r"`--probe_images` \(10,000\)": SET},
    "docs/many_runs.md": {r"127\.0\.0\.1": "an address"},
    "docs/networks.md": {r"smoothed by 0\.1": SET},
    "docs/own_pictures.md": {
        r"at most 90 minutes on two cores": "an upper bound, in flags/my_images.cfg",
        r"a ticket with 4 % of the weights": SET,
        r"\(50 ms of a core for a JPEG of 12 megapixels, 0\.4 s for such a PNG;": ONE_DAY,
    },
    "docs/paper.md": {r"at the same 0\.8 %": SET},
    "docs/robustness.md": {r"2\.9 GB for CIFAR-10": CALCULATED},
    "docs/several_machines.md": {r"512 MiB": SET},
    "docs/tickets_on_devices.md": {
        r"network of 8\.2 % of 2\.8 million weights": SET,
        r"\| `\w+` \| [\d,]+ \| [\d,]+ \| [^|]*\| 100 % \| [^|]*\| [^|]*\|": ONE_DAY,
        r"programs of 1\.5 and 0\.8 MB here": ONE_DAY,
        r"94\.33 % by all three": ONE_DAY,
        r"59\.74 % as SavedModel and as `c`, 59\.75 as `c_int8`": ONE_DAY,
        r"9 times smaller, bitwise equal": ONE_DAY,
        r"2,000 of its test images": SET,
    },
    "results/advise/README.md": {
        r"\| (50|20) (images )?of each class: the (95 % )?interval [^|]*\|": SET,
        r"\| 25 of 500 labels": SET,
    },
    "results/advprop/README.md": {r"attacked accuracy of 5 %": "a round number"},
    "results/backbones/README.md": {
        r"0\.001 for the head and 0\.0001 for the backbone": SET,
        r"\| (adam|sgd) \| [^|]+\| [^|]+\| \w+ \| \w+ \| \d+ % \| [\d.]+ % \|": ONE_DAY,
        r"`rand`; score: [^|]*\|": SET,
        r"0\.9 of the loss": SET,
    },
    "results/benchmarks/README.md": {
        r"skips those, 13 % of them all": CALCULATED,
        r"exceed 100 %": CALCULATED,
        r"was above 0\.5": "a load",
        r"Of the 1,254": "as in the sentence before",
        r"2\.7 times as fast as without \(269 images/s": ONE_DAY,
        r"with one thread 0\.70 of its images/s": ONE_DAY,
        r"3 to 6 % more": ONE_DAY,
        r"\(load [\d.]+": "a load",
        r"all at 0\.78 %": SET,
        r"gave 33\.9 and 33\.2 % on two seeds": ONE_DAY,
        r"1,131 to 1,180 .{0,60} It was at 1,259 while it held all 60,000 encoded pictures, at 1,189 to 1,205": ONE_DAY,
        r"took 114 s once": ONE_DAY,
        r"took 4\.8 s of CPU .*? (?=in place of)in place of 19\.3": ONE_DAY,
        r"16 tiny rounds": SET,
        r"ranking 11,164,352 weights": SET,
        r"the last 30": SET,
    },
    "results/cifar10_1pct_cpu/README.md": {
        r"had given 37\.0 % dense and 39\.1 % at density 0\.17": ONE_DAY,
        r"One run takes 45 minutes": ONE_DAY,
    },
    "results/cifar10_1pct_half_cpu/README.md": {
        r"\*\* to 0\.8 %": SET,
        r"gave 33\.9 and 33\.2 % on seeds 0 and 1": ONE_DAY,
        r"below 0\.05": SET,
        r"240 epochs at once, 6 % more": CALCULATED,
        r"planned; .{0,160} At 0\.004 it": SET,
        r"One run takes 25 minutes": ONE_DAY,
    },
    "results/dense_curve/README.md": {r"200, 500, 1,000 and 2,000": SET},
    "results/near_duplicates/README.md": {r"by 0\.6 to 1\.5": SET},
    "results/own_pictures/README.md": {
        r"\| \d \| [\d.]+ % \| [\d.]+ % \| [\d.]+ % \| [+-][\d.]+ \|": ONE_DAY,
        r"by up to 1\.2 points": ONE_DAY,
    },
    "results/probe/README.md": {r"round 10, density 10\.7 %": SET},
    "results/ray/README.md": {
        r"22 minutes of runs in all": ONE_DAY,
        r"killed every 60 s": SET,
        r"exit 2, for full disks 3": "statuses",
        r"\(after 30 s where Ray": SET,
        r"costs 5 to 6 s a sweep .*? 1\.5 % of two cores": ONE_DAY,
    },
    "results/rewind/README.md": {
        r"11 points, BatchNorm": SET,
        r"[Bb]elow 2 points": SET,
        r"ticket at 6\.25 %": SET,
    },
    "results/tickets/README.md": {
        r"not reported \| 34\.80 % \| 35\.77 % \| 36\.37 % \| 36\.66 % \|": ONE_DAY,
        r"leave 70 % of a depthwise layer at 5 %": ONE_DAY,
        r"are some 70 kB\. .{0,80} 281 kB": CALCULATED,
        r"The tables are 3 MB": CALCULATED,
        r"88 % of the time in sparse .*? 12 % at 16 x 16": ONE_DAY,
        r"quickstart's ticket \(8\.2 % of the weights\) 94\.33 % of 600": ONE_DAY,
        r"MobileNetV2, 20 % \| ResNet-18, 15 % \| MobileNetV2, 5 % \| ResNet-18, 3 %": SET,
        r"beside other work\): 59 % of the time .*? 3 % in clearing, 3 % in": ONE_DAY,
        r"1\.9 in two others": ONE_DAY,
        r"64, 3\.5 % \| width 32, 0\.8 % \| width 16, 0\.8 %": SET,
        r"quickstart, 8\.2 % \| ResNet-18, 4\.3 %": SET,
        r"at 1 % \(10,000\)": SET,
        r"does 60 to 80 GFLOP/s here.{0,220}": CALCULATED,
        r"channels 1\.4, where .{0,160} padding 0\.9": ONE_DAY,
    },
    "results/torture/README.md": {
        r"after 20 seconds, and 4 GB": SET,
        r"\(416 in the present tree": ONE_DAY,
        r"is exit 3 and": "a status",
        r"exit 4 and": "a status",
        r"1 and 8 input threads": SET,
        r"83 in 14 groups .*? 14 whole": "of the names in tests/torture",
        r"in up to 18 ways": SET,
        r"\d a traceback \(1 of .*? two lines": "counted in the rows' list of what went wrong",
        r"shift of 3e38": SET,
        r"on Python 3\.10, 3\.12 and 3\.13.*": ONE_DAY,
    },
    "results/trials/README.md": {
        r"exponentially with 0\.95": SET,
        r"0\.5 (cross-entropy|T\^2)": SET,
        r"dropout 0\.3": SET,
        r"`, 0\.1\.": SET,
    },
    "results/tune/README.md": {
        r"3 x 3 points": SET,
        r"decay, 0\.05, is": SET,
        r"certain \(100 %": SET,
        r"point of 95 % one that stays at 50 %": "an example",
    },
    "results/wrong_labels/README.md": {r"40 % of the labels": SET},
}

SECTIONS = {
    "docs/paper.md#What they cost": ELSEWHERE,  # test_docs.py: the table is that of benchmarks/paper_plan.py
    "docs/science.md": "constants and definitions of the program; what was tried once says so",
    "results/benchmarks/README.md#Photographs": ONE_DAY,
    "results/benchmarks/README.md#On a GPU, on paper": CALCULATED,
    "results/multi_worker/README.md": ONE_DAY,
}
