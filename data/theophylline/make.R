# Rscript make.R : write theophylline.csv (NONMEM-style records) from R's own datasets::Theoph. Run in this folder.
# The observation at time 0 stands before the dose row, so that it is read before the dose under every tie rule.
theoph <- datasets::Theoph
theoph$id <- as.integer(as.character(theoph$Subject))
theoph <- theoph[order(theoph$id, theoph$Time), ]

observations <- data.frame(ID = theoph$id, TIME = theoph$Time, EVID = 0, AMT = NA, CMT = NA, DVID = "cp",
                           DV = theoph$conc, MDV = 0, WT = theoph$Wt, order = ifelse(theoph$Time == 0, 0, 2))
first <- theoph[!duplicated(theoph$id), ]
doses <- data.frame(ID = first$id, TIME = 0, EVID = 1, AMT = round(first$Dose * first$Wt, 6), CMT = "depot", DVID = NA,
                    DV = NA, MDV = 1, WT = first$Wt, order = 1)

records <- rbind(observations, doses)
records <- records[order(records$ID, records$TIME, records$order), names(records) != "order"]
write.csv(records, "theophylline.csv", row.names = FALSE, quote = FALSE, na = ".")
