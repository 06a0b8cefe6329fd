/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the rollovers of an ID allocator ("asid", "vmid") by the trace event
 * idgen:idgen_rollover, in a trace instance of its own. If the kernel lacks the
 * event, the caller computes the number.
 */
#ifndef IDGEN_ROLLOVERS_H
#define IDGEN_ROLLOVERS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char idgen_instance[64];

static inline FILE *idgen_file(const char *name, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", idgen_instance, name);
	return fopen(path, mode);
}

/* A histogram loses no event, unlike the trace buffer. */
static inline bool idgen_put_trigger(const char *text)
{
	FILE *trigger = idgen_file("/events/idgen/idgen_rollover/trigger", "w");
	bool failed;

	if (!trigger)
		return false;
	failed = fputs(text, trigger) < 0;
	failed |= fclose(trigger);
	return !failed;
}

static inline void idgen_end_counting(void)
{
	if (!*idgen_instance)
		return;
	idgen_put_trigger("!hist:keys=name");
	rmdir(idgen_instance);
}

/* Until exit(). False if the kernel lacks the event, or denies access. */
static inline bool idgen_start_counting(void)
{
	snprintf(idgen_instance, sizeof(idgen_instance),
		 "/sys/kernel/tracing/instances/rollover.%d", getpid());
	if (mkdir(idgen_instance, 0700)) {
		*idgen_instance = '\0';
		return false;
	}
	if (!atexit(idgen_end_counting) && idgen_put_trigger("hist:keys=name"))
		return true;
	idgen_end_counting();
	*idgen_instance = '\0';
	return false;
}

/* Rollovers since idgen_start_counting(), or -1 if they are not counted. */
static inline long idgen_rollovers(const char *name)
{
	char line[256], found[32];
	long hits, result = 0;
	FILE *hist;

	if (!*idgen_instance)
		return -1;
	hist = idgen_file("/events/idgen/idgen_rollover/hist", "r");
	if (!hist)
		return -1;
	while (fgets(line, sizeof(line), hist))
		if (sscanf(line, "{ name: %31s } hitcount: %ld",
			   found, &hits) == 2 && !strcmp(found, name))
			result = hits;
	fclose(hist);
	return result;
}

#endif
