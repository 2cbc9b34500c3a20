module postrider

go 1.26
