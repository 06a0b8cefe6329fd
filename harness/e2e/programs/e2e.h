/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the programs of an e2e boot: reports, and the number of rollovers.
 *
 * e2e.py judges a program by its exit status and its last line, which is
 * "NAME: N checks, N wrong; ...". Lines with "wrong:" have the details.
 */
#ifndef E2E_H
#define E2E_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define E2E_EVENT	"/sys/kernel/tracing/events/idgen/idgen_rollover"

/* Print a line with one write, so that lines of different processes do not mix. */
__attribute__((format(printf, 1, 2)))
static inline void say(const char *fmt, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (write(STDOUT_FILENO, line, len) != len)
		_exit(1);
}

/*
 * The number of rollovers of an allocator ("asid", "vmid") since boot, from the
 * histogram of the event, which init has started. -1 if the kernel lacks the event.
 */
static inline long rollovers(const char *name)
{
	FILE *hist = fopen(E2E_EVENT "/hist", "r");
	char line[256], found[32];
	long hits, result = 0;

	if (!hist)
		return -1;
	while (fgets(line, sizeof(line), hist))
		if (sscanf(line, "{ name: %31s } hitcount: %ld", found, &hits) == 2 &&
		    !strcmp(found, name))
			result = hits;
	fclose(hist);
	return result;
}

/* Marsaglia's xorshift64*. Each thread has a state, which is never 0. */
static inline uint64_t random_of(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

#endif
