"""Numbers of pages that come from no committed row, by the words around them and by what they are instead.

Keys are regular expressions over a page's text on one line. `SECTIONS` are headings, `PAGE#TITLE`, under which all
numbers are so, and whole pages. Nothing that was measured belongs here: without rows it is said without its number.
"""

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
    "docs/coming_from_keras.md": {r"[Pp]rune (it )?to 80 %": SET},
    "docs/data_sets.md": {r"all 60,000 images": SET},
    "docs/looking_inside.md": {r"`--probe_images` \(10,000\)": SET},
    "docs/many_runs.md": {r"127\.0\.0\.1": "an address"},
    "docs/networks.md": {r"smoothed by 0\.1": SET},
    "docs/own_pictures.md": {
        r"at most 90 minutes on two cores": "an upper bound, in flags/my_images.cfg",
        r"a ticket with 4 % of the weights": SET,
    },
    "docs/paper.md": {r"at the same 0\.8 %": SET},
    "docs/robustness.md": {r"2\.9 GB for CIFAR-10": CALCULATED},
    "docs/science.md": {
        r"removed weight is exactly 0\.0": "a definition",
        r"(Evci et al\.|He, Zhang and Sun) 20(20|17), section 3\.1": OTHERS,
        r"At a density of 0\.001 SNIP cuts": ELSEWHERE,  # test_initialisation.py, of both networks
        r"a ticket of density 100 %": "a definition",
        r"steps \(x 0\.1 at each": SET,
        r"betas 0\.9/0\.999": SET,
        r"head normal 0\.01|truncated normal 0\.02": SET,
        r"0\.2 in the published training|0\.99 or 0\.999 and 1e-3": OTHERS,
        r"arXiv 2403\.05532": "an address",
        r"`cross_entropy_cosine`: 0\.1 CE": SET,
        r"1 % inside 2 % inside 10 %": "an example",
        r"sigma \.1 to 2 with probability 0\.5": SET,
        r"in a proportion 2\.5 times": SET,
        r"Noise U\(-eps, eps\) is added with probability 0\.8": SET,
        r"penalties from 0\.01 to 10": SET,
        r"the 2\.5 and 97\.5 % points": SET,
        r"sign-flip p is 0\.25": CALCULATED,
    },
    "docs/several_machines.md": {r"512 MiB": SET},
    "docs/tickets_on_devices.md": {
        r"of 11\.8 % of 2\.8 million weights": SET,
        r"2,000 of its test images": SET,
    },
    "results/advise/README.md": {
        r"\| (50|20) (images )?of each class: the (95 % )?interval [^|]*\|": SET,
        r"\| 25 of 500 labels": SET,
    },
    "results/advprop/README.md": {r"attacked accuracy of 5 %": "a round number"},
    "results/backbones/README.md": {
        r"0\.001 for the head and 0\.0001 for the backbone": SET,
        r"`rand`; score: [^|]*\|": SET,
        r"0\.9 of the loss": SET,
    },
    "results/benchmarks/README.md": {
        r"skips those, 13 % of them all": CALCULATED,
        r"exceed 100 %": CALCULATED,
        r"was above 0\.5": "a load",
        r"Of the 1,254": "as in the sentence before",
        r"\(load [\d.]+": "a load",
        r"all at 0\.78 %": SET,
        r"held all 60,000 encoded pictures": SET,
        r"16 tiny rounds": SET,
        r"ranking 11,164,352 weights": SET,
        r"the last 30": SET,
    },
    "results/cifar10_1pct_half_cpu/README.md": {
        r"\*\* to 0\.8 %": SET,
        r"below 0\.05": SET,
        r"240 epochs at once, 6 % more": CALCULATED,
        r"planned; .{0,160} At 0\.004 it": SET,
    },
    "results/dense_curve/README.md": {r"200, 500, 1,000 and 2,000": SET},
    "results/multi_worker/README.md": {
        r"the second at 80 % density": SET,
        r"such as 100,000 pictures of 64x64, are left on disk": SET,
        r"40 epochs a round|above 20,000 bytes": SET,
        # test_multi_worker.py: ..._ends_the_others_and_the_job_continues_to_the_same_bits
        r"three workers continue what two began|within 30 s": ELSEWHERE,
        r"exits 75|with 75,|and 75 \||both exit 3|exit 2[:,]": "a status",
        r"all exit 2: \"begun on 2 devices, now there are 3\"": ELSEWHERE,
        r"127\.0\.0\.1:\d+": "an address",
        r"SIGKILL to worker 1 in .*? then SIGTERM to worker 1": "numbers of workers",
        r"\"worker 1 \(": "the number of a worker",
    },
    "results/near_duplicates/README.md": {r"by 0\.6 to 1\.5": SET},
    "results/probe/README.md": {r"round 10, density 10\.7 %": SET},
    "results/ray/README.md": {
        r"killed every 60 s": SET,
        r"exit 2, for full disks 3": "statuses",
        r"\(after 30 s where Ray": SET,
    },
    "results/rewind/README.md": {
        r"11 points, BatchNorm": SET,
        r"[Bb]elow 2 points": SET,
        r"ticket at 6\.25 %": SET,
    },
    "results/tickets/README.md": {
        r"are some 70 kB\. .{0,80} 281 kB": CALCULATED,
        r"The tables are 3 MB": CALCULATED,
        r"MobileNetV2, 20 % \| ResNet-18, 15 % \| MobileNetV2, 5 % \| ResNet-18, 3 %": SET,
        r"64, 3\.5 % \| width 32, 0\.8 % \| width 16, 0\.8 %": SET,
        r"quickstart, 8\.2 % \| ResNet-18, 4\.3 %": SET,
        r"at 1 % \(10,000\)": SET,
        r"depthwise layer at 5 % of the network": SET,
        r"64 channels is 50 kB and does not stay in a first cache of 48 kB": CALCULATED,
        r"does 60 to 80 GFLOP/s here.{0,220}": CALCULATED,
    },
    "results/torture/README.md": {
        r"after 20 seconds, and 4 GB": SET,
        r"on Python 3\.10, 3\.12 and 3\.13|; on 3\.10 some|allows on 3\.11": "a version",
        r"is exit 3 and": "a status",
        r"exit 4 and": "a status",
        r"1 and 8 input threads": SET,
        r"83 in 14 groups .*? 14 whole": "of the names in tests/torture",
        r"in up to 18 ways": SET,
        r"\d a traceback \(1 of .*? two lines": "counted in the rows' list of what went wrong",
        r"shift of 3e38": SET,
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
    "results/few/README.md": {r"a calibration error below 5 % on the 10,000": "wanted"},
    "results/wrong_labels/README.md": {r"40 % of the labels": SET},
}

SECTIONS = {
    "docs/paper.md#What they cost": ELSEWHERE,  # test_docs.py: the table is that of benchmarks/paper_plan.py
    "results/benchmarks/README.md#On a GPU, on paper": CALCULATED,
    "results/multi_worker/README.md#ImageNet-1k at 100 %, ten seeds, on paper": CALCULATED,
}
