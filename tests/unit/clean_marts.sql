create table dim_date as
select d as date_day, d - date '{launch}' as launch_day_number, year(d) as year, quarter(d) as quarter, month(d) as month,
day(d) as day_of_month, cast(date_trunc('month', d) as date) as month_start_date, cast(date_trunc('quarter', d) as date) as quarter_start_date,
isoyear(d) as iso_year, week(d) as iso_week, cast(date_trunc('week', d) as date) as week_start_date, isodow(d) as day_of_week, dayname(d) as weekday_name,
isodow(d) > 5 as is_weekend
from (select cast(unnest(generate_series(date '{launch}', date '{last}', interval 1 day)) as date) as d);

create table dim_landed_date as
select date_day from dim_date where not list_contains(cast({gaps} as date[]), date_day);

create table fct_user_activity_day as
select 'u' || u as user_id, date '{launch}' + cast(u + n as integer) as activity_date, if(u = 3, 'tv', 'web') as platform, if(u = 1 and n = 3, 'NA', 'DE') as country_code,
if(u = 2 and n = 3, '1.1.0', '1.0.0') as app_version, true as has_opened, n <> 2 as has_used, n <> 2 as is_active, n = 0 as has_signed_up,
(n = 2 and u in (2, 4) or n = 0 and u = 5)::bigint as crash_count, (n <> 2 and (n > 0 or u < 4))::bigint as playback_start_count,
if(n <> 2 and (n > 0 or u < 4), 2300, 0)::double as watched_seconds, 3::bigint as event_count
from range(6) as users(u) cross join range(4) as days(n);

create table fct_session as
select md5(user_id || activity_date) as session_key, 'd' || user_id as device_id, 's' || activity_date as session_id, user_id, 1::bigint as user_count,
activity_date as session_date, activity_date + interval 5 hour as started_at, activity_date + interval 6 hour as ended_at, 3600.0::double as duration_seconds,
if(has_used, ascii(right(user_id, 1)) / 10, null) as time_to_ready_seconds, platform, null::varchar as device_model, null::varchar as os_version, app_version, country_code,
event_count, crash_count, true as has_app_start, has_used as has_app_ready, playback_start_count > 0 as has_playback_start, crash_count > 0 and not has_used as has_startup_crash,
crash_count = 0 as is_crash_free
from fct_user_activity_day
union all
select md5('anonymous'), 'da', 'sa', null, 0, date '{launch}', timestamp '{launch} 07:00', timestamp '{launch} 07:00', 0, null, 'tv', null, null, '1.0.0', 'NA', 1, 0, false, true,
false, false, null
union all
select md5('quiet' || date_day), 'dq', 'sq' || date_day, null, 0, date_day, date_day + interval 8 hour, date_day + interval 8 hour, 0, null, 'web', null, null, '1.0.0', 'DE', 1, 0, false,
false, false, false, null
from dim_landed_date where date_day > date '{launch}' + 8;

create table fct_crash as
select md5(session_key || 'crash') as event_id, session_key, device_id, session_id, user_id, session_date as crash_date,
started_at + interval 1 minute as crashed_at, if(has_startup_crash, 'startup', 'browse') as phase, null::varchar as error_code, platform, device_model, os_version, app_version, country_code
from fct_session where crash_count > 0;

create table fct_activity_hour as
select session_date as activity_date, hour(started_at) as hour_of_day, country_code, sum(event_count)::bigint as event_count, count(distinct device_id) as active_devices,
count(distinct user_id) filter (where has_app_ready) as active_users
from fct_session group by session_date, hour(started_at), country_code;

create table fct_event_day as
select activity_date as event_date, sum(event_count)::bigint + 1 as copy_count, sum(event_count)::bigint as event_count, 1::bigint as late_event_count
from fct_activity_hour group by activity_date;

create table dim_device as
select device_id, any_value(platform) as platform, if(any_value(platform) = 'tv', 'television', 'browser') as form_factor, any_value(device_model) as device_model,
any_value(os_version) as os_version, arg_max(country_code, started_at) as country_code, arg_max(app_version, started_at) as app_version,
arg_min(app_version, started_at) as first_app_version, count(distinct app_version) as app_version_count, min(session_date) as first_session_date,
max(session_date) as last_session_date, count(*) as session_count
from fct_session group by device_id;

create table dim_user as
with changes as (
select user_id, activity_date + interval 5 hour as valid_from, 'open' as account_status, 'DE' as country_code, true as is_last from fct_user_activity_day where has_signed_up
union all select 'u0', timestamp '{launch}' + interval 3 day, 'open', 'NA', true
union all select 'u1', timestamp '{launch}' + interval 9 day, 'closed', 'DE', true)
select md5(user_id || valid_from) as user_key, user_id, valid_from, lead(valid_from) over account as valid_to, lead(valid_from) over account is null as is_current,
row_number() over account as version_number, account_status, min(valid_from) over account_all as created_at, cast(min(valid_from) over account_all as date) as created_date,
country_code, 'web' as acquisition_platform, 1990::bigint as birth_year, true as has_marketing_consent
from changes window account as (partition by user_id order by valid_from), account_all as (partition by user_id);

create table dim_country as
select * from (values
('NA', 'NAM', 'Namibia', false, 'Sub-Saharan Africa', 'Upper middle income', 'IBRD', 'Windhoek', 17.0931::double, -22.5648::double),
('ZA', 'ZAF', 'South Africa', false, 'Sub-Saharan Africa', 'Upper middle income', 'IBRD', 'Pretoria', 28.1871, -25.746),
('DE', 'DEU', 'Germany', false, 'Europe & Central Asia', 'High income', 'Not classified', 'Berlin', 13.4115, 52.5235),
('1W', 'WLD', 'World', true, null, null, null, null, null, null))
as countries(country_code, country_iso3, country_name, is_aggregate, region_name, income_group, lending_type, capital_city, longitude, latitude);

create table dim_title as
select 't1' as title_id, 'The Silent Harbour' as title_name, 'film' as title_kind, 'drama' as genre, 2020::bigint as release_year, 5400::bigint as runtime_seconds;

create table dim_plan as
select md5(md5(plan_id) || currency_code) as plan_key, plan_id, currency_code, 'Basic' as plan_name, monthly_price::decimal(18,4) as monthly_price, 7::bigint as trial_days
from (values ('basic', 'EUR', 5.49), ('basic', 'BRL', 18.9)) as plans(plan_id, currency_code, monthly_price);

create table dim_experiment as
select 'home_rows' as experiment_id, 'Rows of the home page by taste' as experiment_name, 'retention_day_7' as goal_metric, timestamp '{launch}' as started_at,
timestamp '{launch}' + interval 30 day as ended_at, 0.5::decimal(18,4) as treatment_share;

create table fct_experiment_exposure_day as
with seen as (
select 'home_rows' as experiment_id, if(user_id in ('u0', 'u2', 'u4') or user_id = 'u3' and not is_first, 'control', 'treatment') as variant_id, user_id,
session_date as exposure_date, device_id, session_id, started_at + interval 30 second as exposed_at, platform, app_version, country_code
from (from fct_session select *, session_date = min(session_date) over (partition by user_id) as is_first)
where user_id is not null and (is_first or user_id = 'u3'))
select experiment_id, variant_id, user_id, exposure_date, md5(user_id || exposure_date) as event_id, device_id, session_id, exposed_at, platform, app_version, country_code from seen;

create table fct_experiment_exposure as
select experiment_id, user_id, event_id, device_id, session_id, exposure_date, exposed_at, variant_id, variant_id as assigned_variant_id, user_id = 'u3' as has_seen_others,
platform, app_version, country_code
from fct_experiment_exposure_day where user_id <> 'u3' or variant_id = 'treatment';

create table mart_experiment_user as
with after as (
from fct_experiment_exposure select experiment_id, user_id, variant_id, exposure_date, has_seen_others, range(1, 8).list_transform(lambda n: exposure_date + n::integer) as days),
measured as (from after select *, days[7] <= date '{last}' and days[7] < date '{launch}' + 30 and not list_has_any(days, cast({gaps} as date[])) as is_measured)
select experiment_id, user_id, variant_id, exposure_date, has_seen_others, is_measured,
if(is_measured, exists (from fct_user_activity_day as a where a.user_id = measured.user_id and is_active and activity_date = days[7]), null) as is_retained_day_7,
if(is_measured, coalesce((select sum(watched_seconds) from fct_user_activity_day as a where a.user_id = measured.user_id and activity_date in days), 0), null)::double as watched_seconds,
if(is_measured, (select count(*) from fct_session as s where s.user_id = measured.user_id and session_date in days and has_app_start), null) as started_sessions,
if(is_measured, (select count(*) from fct_session as s where s.user_id = measured.user_id and session_date in days and is_crash_free), null) as crash_free_sessions,
if(is_measured, (select count(time_to_ready_seconds) from fct_session as s where s.user_id = measured.user_id and session_date in days), null) as ready_sessions,
if(is_measured, coalesce((select sum(time_to_ready_seconds) from fct_session as s where s.user_id = measured.user_id and session_date in days), 0), null)::double as time_to_ready_seconds
from measured;

create table mart_experiment_result as
with outcomes as (
unpivot (from mart_experiment_user select experiment_id, variant_id, user_id, has_seen_others, is_measured, is_retained_day_7::double as retention_day_7,
watched_seconds / 3600 as watch_hours, crash_free_sessions::double as crash_free_rate, time_to_ready_seconds as time_to_ready, started_sessions, ready_sessions)
on retention_day_7, watch_hours, crash_free_rate, time_to_ready into name metric value y),
counted as (from outcomes select *, case metric when 'crash_free_rate' then started_sessions when 'time_to_ready' then ready_sessions else 1 end as x where is_measured),
rates as (from counted select variant_id, metric, sum(y) / nullif(sum(x), 0) as mean, count(*) as users group by all),
errors as (from counted join rates using (variant_id, metric)
select variant_id, metric, any_value(mean) as mean, any_value(users) as users, stddev_samp(y - mean * x) * sqrt(count(*)) / nullif(sum(x), 0) as standard_error group by all),
exposed as (from mart_experiment_user select variant_id, count(*) as exposed_users, count_if(has_seen_others)::bigint as mixed_users group by all),
cells as (from exposed cross join (values ('retention_day_7', 'share', 'goal'), ('watch_hours', 'hours', 'other'), ('crash_free_rate', 'share', 'guardrail'), ('time_to_ready', 'seconds', 'guardrail'))
as metrics(metric, unit, metric_role) left join errors using (variant_id, metric)),
pairs as (select cells.*, if(cells.variant_id = 'control', null, c.mean) as control, sqrt(cells.standard_error ** 2 + c.standard_error ** 2) as error
from cells left join cells as c on c.metric = cells.metric and c.variant_id = 'control'),
tested as (from pairs select *, mean - control as difference, mean / nullif(control, 0) - 1 as lift, 0.05 ** ((abs(mean - control) / nullif(error, 0) / 1.959964) ** 2) as p_value)
select 'home_rows' as experiment_id, metric, variant_id, metric_role, unit, exposed_users, mixed_users, coalesce(users, 0) as users, false as has_enough_users,
date '{launch}' + 30 <= date '{last}' as has_ended, mean, standard_error, difference, lift,
if(p_value < 0.05, least(lift, lift / 2), lift - abs(lift) - 1) as lift_low, if(p_value < 0.05, greatest(lift, lift / 2), lift + abs(lift) + 1) as lift_high, p_value,
1::double as sample_ratio_p_value, false as has_sample_ratio_mismatch, if(variant_id = 'control', 'baseline', 'too few users yet') as verdict
from tested;

create table fct_user_device_day as
select user_id, 'd' || user_id as device_id, activity_date, if(user_id = 'u2', 2, 3)::bigint as event_count from fct_user_activity_day
union all
select user_id, 'du1', activity_date, 1 from fct_user_activity_day where user_id = 'u2';

create table bridge_user_device as
select user_id, device_id, min(activity_date) as first_activity_date, max(activity_date) as last_activity_date, count(*) as active_day_count,
1 / count(*) over (partition by user_id) as device_weight, 1 / count(*) over (partition by device_id) as user_weight
from fct_user_device_day group by user_id, device_id;

create table fct_playback as
select md5(session_key || 'p1') as playback_key, session_key, device_id, session_id, 'p1' as playback_id, user_id, 't1' as title_id, session_date as playback_date,
started_at + interval 10 minute as started_at, started_at + interval 50 minute as ended_at, 2300::double as watched_seconds, 2400::double as stop_position_seconds,
1.5::double as startup_seconds, 8::bigint as heartbeat_count, true as has_start, true as has_stop, platform, country_code, app_version
from fct_session where has_playback_start;

create table fct_subscription_change as
select change_id::bigint as change_id, subscription_id, user_id, md5(md5('basic') || 'EUR') as plan_key, 'basic' as plan_id, 'EUR' as currency_code, status,
lag(status) over subscription as previous_status, lag('basic') over subscription as previous_plan_id, timestamp '{launch}' + to_days(day_number) as changed_at,
date '{launch}' + day_number as change_date, lead(timestamp '{launch}' + to_days(day_number)) over subscription as next_changed_at, row_number() over subscription as change_number
from (values (1, 's1', 'u0', 'trial', 1), (2, 's1', 'u0', 'active', 8), (3, 's1', 'u0', 'cancelled', 9), (4, 's2', 'u3', 'trial', 4))
as changes(change_id, subscription_id, user_id, status, day_number) window subscription as (partition by subscription_id order by change_id);

create table fct_fx_rate_day as
with days as (select date_day, date_day - greatest(isodow(date_day) - 5, 0)::integer as published_date from dim_date),
rates as (
select date_day, 'EUR' as currency_code, date_day as published_date, 1::decimal(18,8) as units_per_eur from days
union all select date_day, 'USD', published_date, 1.1 from days
union all select date_day, 'BRL', published_date, 6.25 from days)
select date_day as rate_date, currency_code, published_date, date_day - published_date as age_days, units_per_eur::decimal(18,8) as units_per_eur, 1.1::decimal(18,8) as usd_per_eur
from rates;

create table fct_payment as
select payment_id, 's1' as subscription_id, 'u0' as user_id, 'basic' as plan_id, 'NA' as country_code, kind, status, status = 'settled' as is_settled, 5.49::decimal(18,4) as amount,
'EUR' as currency_code,
timestamp '{launch}' + to_days(day_number) as paid_at, date '{launch}' + day_number as paid_date,
if(status = 'pending', null, timestamp '{launch}' + to_days(day_number + 1)) as resolved_at, if(status = 'pending', 1, 2)::bigint as change_count,
6.039::decimal(18,4) as amount_usd, (case when status <> 'settled' then 0 when kind = 'refund' then -6.039 else 6.039 end)::decimal(18,4) as revenue_usd
from (values ('p1', 'charge', 'failed', 8), ('p2', 'charge', 'settled', 10), ('p3', 'refund', 'settled', 12), ('p4', 'charge', 'pending', 13))
as payments(payment_id, kind, status, day_number);

create table fct_country_indicator_year as
select country_code, indicator_id, year::bigint as year, indicator_id || ' by name' as indicator_name, size * share * (year - 2015)::double as value, is_aggregate
from dim_country join (values ('NA', 1e3), ('ZA', 1e3), ('DE', 3e4), ('1W', 3.2e4)) as sizes(country_code, size) using (country_code)
cross join (values (2019), (2023), (2024)) as years(year)
cross join (values ('SP.POP.TOTL', 1), ('SP.POP.0014.TO', 0.2), ('SP.POP.1564.TO', 0.7), ('SP.POP.65UP.TO', 0.1), ('IT.NET.BBND', 0.3), ('IT.CEL.SETS', 1.1), ('NY.GNP.ATLS.CD', 5e3),
('NY.GDP.MKTP.KD', 4e3), ('NY.GDP.PCAP.KD', 0.4), ('IC.REG.COST.PC.ZS', 1e-4), ('IC.REG.DURS', 1e-3), ('IC.REG.PROC', 1e-2), ('IQ.CPA.BREG.XQ', 5e-4)) as indicators(indicator_id, share)
where not (year > 2019 and indicator_id like 'IC.%') and not (year = 2024 and country_code = 'ZA' and indicator_id in ('SP.POP.TOTL', 'IT.CEL.SETS', 'NY.GNP.ATLS.CD'))
and not (year = 2019 and indicator_id = 'IT.NET.BBND') and (indicator_id <> 'IQ.CPA.BREG.XQ' or country_code = 'NA' and year < 2024);

create table mart_country_stats as
with figures as (
pivot (from fct_country_indicator_year) on indicator_id in ('SP.POP.TOTL', 'SP.POP.0014.TO', 'SP.POP.1564.TO', 'SP.POP.65UP.TO', 'IT.NET.BBND', 'IT.CEL.SETS') using max(round(value)::bigint)
group by country_code, year)
select country_code, year, country_name, is_aggregate, region_name, income_group, "SP.POP.TOTL" as population, "SP.POP.0014.TO" as population_0_14,
"SP.POP.1564.TO" as population_15_64, "SP.POP.65UP.TO" as population_65_up, "IT.NET.BBND" as broadband_subscriptions, "IT.CEL.SETS" as mobile_subscriptions
from figures join dim_country using (country_code);

create table mart_region_stats as
with countries as (from mart_country_stats where region_name is not null)
select region_name, year, count(*) as country_count, sum(population)::bigint as population, sum(population_0_14)::bigint as population_0_14, sum(population_15_64)::bigint as population_15_64,
sum(population_65_up)::bigint as population_65_up, sum(broadband_subscriptions)::bigint as broadband_subscriptions, sum(mobile_subscriptions)::bigint as mobile_subscriptions,
count(population) as population_country_count, count(population_0_14) as population_0_14_country_count, count(population_15_64) as population_15_64_country_count,
count(population_65_up) as population_65_up_country_count, count(broadband_subscriptions) as broadband_subscriptions_country_count,
count(mobile_subscriptions) as mobile_subscriptions_country_count
from countries group by region_name, year;

create table mart_year_stats as
with naive as (
select year, sum(population)::bigint as naive_population, sum(population_0_14)::bigint as naive_population_0_14, sum(population_15_64)::bigint as naive_population_15_64,
sum(population_65_up)::bigint as naive_population_65_up, sum(broadband_subscriptions)::bigint as naive_broadband_subscriptions,
sum(mobile_subscriptions)::bigint as naive_mobile_subscriptions
from mart_country_stats group by year)
select year, sum(columns(world.* exclude (region_name, year)))::bigint, any_value(columns(naive.* exclude (year)))
from mart_region_stats as world join naive using (year) group by year;

create table mart_business_climate as
with latest as (select country_code, indicator_id, max(year) as year, arg_max(value, year) as value from fct_country_indicator_year group by country_code, indicator_id)
select country_code, country_name, is_aggregate, region_name, income_group,
max(value) filter (where indicator_id = 'NY.GNP.ATLS.CD') as gni_usd, max(year) filter (where indicator_id = 'NY.GNP.ATLS.CD') as gni_usd_year,
max(value) filter (where indicator_id = 'NY.GDP.MKTP.KD') as gdp_constant_usd, max(year) filter (where indicator_id = 'NY.GDP.MKTP.KD') as gdp_constant_usd_year,
max(value) filter (where indicator_id = 'NY.GDP.PCAP.KD') as gdp_per_head_constant_usd, max(year) filter (where indicator_id = 'NY.GDP.PCAP.KD') as gdp_per_head_constant_usd_year,
max(value) filter (where indicator_id = 'IC.REG.COST.PC.ZS') as startup_cost_percent, max(year) filter (where indicator_id = 'IC.REG.COST.PC.ZS') as startup_cost_percent_year,
max(value) filter (where indicator_id = 'IC.REG.DURS') as startup_days, max(year) filter (where indicator_id = 'IC.REG.DURS') as startup_days_year,
max(value) filter (where indicator_id = 'IC.REG.PROC') as startup_procedures, max(year) filter (where indicator_id = 'IC.REG.PROC') as startup_procedures_year,
max(value) filter (where indicator_id = 'IQ.CPA.BREG.XQ') as regulation_rating, max(year) filter (where indicator_id = 'IQ.CPA.BREG.XQ') as regulation_rating_year,
null::double as ease_of_business_rank, null::bigint as ease_of_business_rank_year,
startup_cost_percent / 100 * gni_usd as startup_cost_usd,
startup_cost_percent / 100 * 5e3 as startup_cost_per_head_usd
from latest join dim_country using (country_code) group by all;

create table mart_active_users_daily as
select date_day as activity_date,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and is_active)) as active_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_used)) as used_users,
if(is_gap, null, (select count(*) from fct_user_activity_day where activity_date = date_day and has_opened)) as opened_users,
if(is_gap, null, (select count(*) from fct_session where session_date = date_day and user_count = 0 and has_app_ready)) as anonymous_devices,
count(*) filter (where not is_gap) over (order by date_day rows between 1 following and unbounded following) < 3 as is_provisional, is_gap
from (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date);

create table mart_retention_cohort as
with users as (select user_id, created_date as day_0 from dim_user where is_current),
gaps as (select unnest(cast({gaps} as date[])) as gap_date),
cells as (
select 'day' as cohort_grain, date_day as cohort_date, n as period_number, date_day as last_day_0, date_day + cast(n as integer) as first_seen, date_day + cast(n as integer) as last_seen
from dim_date cross join range(29) as periods(n)
union all
select distinct 'week', week_start_date, n, week_start_date + 6, week_start_date + cast(7 * n as integer), week_start_date + cast(7 * n + 12 as integer)
from dim_date cross join range(9) as periods(n)),
sized as (
select *, if(exists (select 1 from gaps where gap_date between cohort_date and last_day_0), null, (select count(*) from users where day_0 between cohort_date and last_day_0)) as cohort_users
from cells),
counted as (
select cohort_grain, cohort_date, period_number, cohort_users,
if(cohort_users is null or last_seen > date '{last}' or exists (select 1 from gaps where gap_date between first_seen and last_seen), null,
(select count(distinct user_id) from users join fct_user_activity_day using (user_id) where is_active and day_0 between cohort_date and last_day_0
and activity_date - day_0 between period_number * if(cohort_grain = 'day', 1, 7) and period_number * if(cohort_grain = 'day', 1, 7) + if(cohort_grain = 'day', 0, 6))) as retained_users
from sized)
select *, retained_users / nullif(cohort_users, 0) as retention_rate from counted;

create table mart_active_users_rolling as
with days as (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date),
windows as (select unnest([1, 7, 28, 365])::bigint as window_days),
users as (
select date_day, window_days, user_id, 'all' as total, arg_max(platform, activity_date) as platform, arg_max(country_code, activity_date) as country,
arg_max(app_version, activity_date) as app_version
from days cross join windows join fct_user_activity_day on is_active and activity_date <= date_day and date_day - activity_date < window_days
group by date_day, window_days, user_id),
segmented as (
select date_day, window_days, segment_type, segment_value, count(*) as user_count
from (select users.*, region_name as region, income_group from users join dim_country on country = country_code)
unpivot (segment_value for segment_type in (total, platform, country, region, income_group, app_version)) group by all)
select date_day as activity_date, window_days, segment_type, segment_value, if(is_gap, null, coalesce(user_count, 0))::bigint as active_users,
date_day - window_days::integer + 1 >= date '{launch}' and not exists (
select 1 from days as gaps where gaps.is_gap and gaps.date_day between days.date_day - window_days::integer + 1 and days.date_day) as is_full_window
from days cross join windows cross join (select distinct segment_type, segment_value from segmented)
left join segmented using (date_day, window_days, segment_type, segment_value);

create table mart_market_penetration as
with latest as (
select *, 'all' as total, country_code as country, region_name as region from (select country_code, arg_max(population, year) as population, arg_max(mobile_subscriptions, year) as mobile_subscriptions
from mart_country_stats where not is_aggregate group by country_code) join dim_country using (country_code)),
markets as (
select segment_type, segment_value, sum(population)::bigint as population, sum(mobile_subscriptions)::bigint as mobile_subscriptions
from latest unpivot (segment_value for segment_type in (total, country, region, income_group)) group by all),
rated as (
select *, active_users / population * 1e6 as people, active_users / mobile_subscriptions * 1e6 as mobile
from mart_active_users_rolling join markets using (segment_type, segment_value) where window_days = 28),
ranked as (
select *, if(people is null, null, row_number() over (partition by activity_date, segment_type order by people desc nulls last, segment_value)) as people_rank,
if(mobile is null, null, row_number() over (partition by activity_date, segment_type order by mobile desc nulls last, segment_value)) as mobile_rank from rated)
select activity_date, segment_type, segment_value, now.active_users, now.population, now.mobile_subscriptions, now.people as users_per_million_people,
now.people - before.people as users_per_million_people_change, now.people_rank as users_per_million_people_rank, now.people_rank - before.people_rank as users_per_million_people_rank_change,
now.mobile as users_per_million_mobile_subscriptions, now.mobile - before.mobile as users_per_million_mobile_subscriptions_change,
now.mobile_rank as users_per_million_mobile_subscriptions_rank, now.mobile_rank - before.mobile_rank as users_per_million_mobile_subscriptions_rank_change, now.is_full_window
from ranked as now left join (select * replace (activity_date + 7 as activity_date) from ranked) as before using (activity_date, segment_type, segment_value);

create table mart_growth_accounting as
with gaps as (select unnest(cast({gaps} as date[])) as gap_date),
periods as (
select 'day' as period_grain, date_day as first_day, date_day as last_day, 1 as days from dim_date
union select 'week', week_start_date, week_start_date + 6, 7 from dim_date),
known as (
select *, last_day <= date '{last}' and not exists (select 1 from gaps where gap_date between first_day and last_day) as is_known,
last_day <= date '{last}' and not exists (select 1 from gaps where gap_date between first_day - days and last_day) as is_comparable from periods),
active as (
select periods.*, user_id, 'all' as total, acquisition_platform, country_code as country, region_name as region, income_group,
bool_or(activity_date between first_day and last_day) as is_now, bool_or(activity_date between first_day - days and first_day - 1) as is_previous,
bool_or(activity_date < first_day) as is_before
from periods cross join (select user_id, activity_date from fct_user_activity_day where is_active) join (from dim_user where version_number = 1) using (user_id)
join dim_country using (country_code) group by all),
segmented as (
select period_grain, first_day, segment_type, segment_value, count(*) filter (where is_now) as active_users, count(*) filter (where is_previous) as previous_active_users,
count(*) filter (where is_now and not is_before) as new_users,
count(*) filter (where is_now and is_previous) as retained_users, count(*) filter (where is_now and is_before and not is_previous) as resurrected_users,
count(*) filter (where is_previous and not is_now) as churned_users
from active unpivot (segment_value for segment_type in (total, acquisition_platform, country, region, income_group)) group by all)
select period_grain, first_day as period_start_date, segment_type, segment_value, if(is_known, active_users, null)::bigint as active_users,
if(is_comparable, previous_active_users, null)::bigint as previous_active_users, if(is_comparable, new_users, null)::bigint as new_users,
if(is_comparable, retained_users, null)::bigint as retained_users, if(is_comparable, resurrected_users, null)::bigint as resurrected_users,
if(is_comparable, churned_users, null)::bigint as churned_users
from known join segmented using (period_grain, first_day);

create table mart_retention_driver as
with users as (
select account.*, region_name as region, income_group,
case when playback_start_count > 0 then 'watched' when crash_count > 0 then 'crashed' else 'neither' end as first_day, unnest(range(1, 29)) as day_number
from (from dim_user where version_number = 1) as account join dim_country using (country_code)
left join fct_user_activity_day as day_0 on account.user_id = day_0.user_id and created_date = activity_date),
counted as (
select driver, driver_value, day_number, count(*) as users, count(activity_date) as retained_users
from users unpivot (driver_value for driver in (acquisition_platform, region, income_group, first_day)) as segmented
left join (from fct_user_activity_day where is_active) as activity on segmented.user_id = activity.user_id and created_date + day_number::integer = activity_date
where created_date + day_number::integer <= date '{last}'
and not list_contains(cast({gaps} as date[]), created_date) and not list_contains(cast({gaps} as date[]), created_date + day_number::integer)
group by driver, driver_value, day_number),
rated as (
select *, retained_users / users as p, pow(1.959963984540054, 2) as zz, sum(retained_users) over driver_day / sum(users) over driver_day as overall_retention_rate
from counted window driver_day as (partition by driver, day_number)),
bounded as (
select *, (p + zz / (2 * users)) / (1 + zz / users) as middle, sqrt(zz * p * (1 - p) / users + pow(zz / users, 2) / 4) / (1 + zz / users) as reach from rated)
select driver, driver_value, day_number, users, retained_users, p as retention_rate, greatest(middle - reach, 0) as retention_low, least(middle + reach, 1) as retention_high,
overall_retention_rate, overall_retention_rate not between greatest(middle - reach, 0) and least(middle + reach, 1) as is_beyond_noise
from bounded;

create table mart_metric_driver as
with days as (
select date_day, not list_contains(cast({gaps} as date[]), date_day) as is_known,
not list_contains(cast({gaps} as date[]), date_day) and not list_contains(cast({gaps} as date[]), date_day - 7) and date_day - 7 >= date '{launch}' as is_comparable from dim_date),
segmented as (
from (select *, 'all' as total, country_code as country, concat(platform, ' ', app_version) as release from fct_user_activity_day)
unpivot (segment_value for segment_type in (total, platform, country, app_version, release))),
counted as (
select date_day as activity_date, is_known, is_comparable, segment_type, segment_value, count(*) filter (where activity_date = date_day and has_opened) as a1,
count(*) filter (where activity_date = date_day and has_used) as s1,
count(*) filter (where activity_date = date_day - 7 and has_opened) as a0, count(*) filter (where activity_date = date_day - 7 and has_used) as s0
from days cross join segmented group by all),
rated as (
select *, coalesce(s0 / nullif(a0, 0), max(s0 / nullif(a0, 0)) filter (where segment_type = 'total') over (partition by activity_date), s1 / nullif(a1, 0)) as r0
from counted),
effects as (
select *, (a1 - a0) * coalesce(r0, 0) as volume_effect, s1 - a1 * coalesce(r0, 0) as rate_effect from rated where segment_type = 'total' or a1 > 0 or a0 > 0)
select activity_date, segment_type, segment_value, if(is_known, a1, null)::bigint as attempted_users, if(is_known, s1, null)::bigint as successful_users,
if(is_known, s1 / nullif(a1, 0), null) as success_rate, if(is_comparable, a0, null)::bigint as previous_attempted_users, if(is_comparable, s0, null)::bigint as previous_successful_users,
if(is_comparable, r0, null) as previous_success_rate, if(is_comparable, s1 - s0, null)::bigint as change_users, if(is_comparable, volume_effect, null) as volume_effect,
if(is_comparable, rate_effect, null) as rate_effect,
if(is_comparable, row_number() over (partition by activity_date, segment_type order by rate_effect, segment_value), null) as rate_effect_rank
from effects;

create table mart_activity_hourly as
with cells as (
select activity_date, hour_of_day, country_code, if(is_gap, null, coalesce(event_count, 0)) as event_count, if(is_gap, null, coalesce(active_devices, 0)) as active_devices,
if(is_gap, null, coalesce(active_users, 0)) as active_users
from (select date_day as activity_date, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date)
cross join range(24) as hours(hour_of_day) cross join (select distinct country_code from fct_activity_hour)
left join fct_activity_hour using (activity_date, hour_of_day, country_code)),
compared as (
select cells.*, count(earlier.active_devices) as compared_days, if(count(earlier.active_devices) = 4, avg(earlier.active_devices), null) as expected_active_devices
from cells left join cells as earlier on cells.hour_of_day = earlier.hour_of_day and cells.country_code = earlier.country_code
and cells.activity_date - earlier.activity_date in (7, 14, 21, 28)
group by all),
scored as (select *, (active_devices - expected_active_devices) / nullif(sqrt(1.25 * expected_active_devices), 0) as deviation_score from compared)
select *, if(deviation_score is null, null, row_number() over (partition by activity_date order by deviation_score nulls last, hour_of_day, country_code)) as shortfall_rank
from scored;

create table mart_active_days_distribution as
with days as (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date),
windows as (select unnest([7, 28])::bigint as window_days),
users as (
select date_day, window_days, user_id, count(*) as active_days
from days cross join windows join fct_user_activity_day on is_active and activity_date <= date_day and date_day - activity_date < window_days
group by date_day, window_days, user_id),
counted as (select date_day, window_days, active_days, count(*) as user_count from users group by all)
select date_day as activity_date, window_days, active_days, if(is_gap, null, coalesce(user_count, 0)) as user_count, is_full_window
from (select *, unnest(generate_series(1, window_days)) as active_days from days cross join windows)
join (select activity_date as date_day, window_days, is_full_window from mart_active_users_rolling where segment_type = 'total') using (date_day, window_days)
left join counted using (date_day, window_days, active_days);

create table mart_app_stability_daily as
with sessions as (
from (select *, 'all' as total, concat(platform, ' ', app_version) as release from fct_session where has_app_start and not list_contains(cast({gaps} as date[]), session_date))
unpivot (segment_value for segment_type in (total, platform, app_version, release)))
select coalesce(session_date, date_day) as session_date, coalesce(segment_type, 'total') as segment_type, coalesce(segment_value, 'all') as segment_value,
if(is_gap, null, count(session_key)) as started_sessions, if(is_gap, null, count(*) filter (where is_crash_free)) as crash_free_sessions,
count(*) filter (where is_crash_free) / nullif(count(session_key), 0) as crash_free_rate,
if(is_gap, null, count(*) filter (where has_startup_crash)) as startup_crash_sessions, count(*) filter (where has_startup_crash) / nullif(count(session_key), 0) as startup_crash_rate,
if(is_gap, null, count(time_to_ready_seconds)) as ready_sessions, quantile_cont(time_to_ready_seconds, 0.5) as time_to_ready_p50_seconds,
quantile_cont(time_to_ready_seconds, 0.95) as time_to_ready_p95_seconds
from (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date) left join sessions on date_day = session_date
group by date_day, is_gap, session_date, segment_type, segment_value;

create table mart_engagement_daily as
with watched as (
select activity_date, segment_type, segment_value, count(*) filter (where watched_seconds > 0) as watching_users, sum(playback_start_count)::bigint as playback_count,
sum(watched_seconds) / 3600 as watch_hours
from (select activity.*, 'all' as total, country_code as country, region_name as region, income_group from fct_user_activity_day as activity join dim_country using (country_code))
unpivot (segment_value for segment_type in (total, platform, country, region, income_group, app_version)) group by all)
select activity_date, segment_type, segment_value, day.active_users, month.active_users as active_users_28d, day.active_users / nullif(month.active_users, 0) as stickiness,
month.is_full_window,
if(day.active_users is null, null, coalesce(watching_users, 0)) as watching_users, if(day.active_users is null, null, coalesce(playback_count, 0)) as playback_count,
if(day.active_users is null, null, coalesce(watch_hours, 0)) as watch_hours, coalesce(watch_hours, 0) / nullif(day.active_users, 0) as watch_hours_per_active_user
from (from mart_active_users_rolling where window_days = 1) as day join (from mart_active_users_rolling where window_days = 28) as month using (activity_date, segment_type, segment_value)
left join watched using (activity_date, segment_type, segment_value);

create table mart_revenue_daily as
with payments as (
from (select payment.*, 'all' as total, plan_id as plan, country_code as country, region_name as region, income_group from fct_payment as payment join dim_country using (country_code)
where status <> 'failed' and not list_contains(cast({gaps} as date[]), paid_date))
unpivot (segment_value for segment_type in (total, plan, country, region, income_group)))
select date_day as revenue_date, coalesce(segment_type, 'total') as segment_type, coalesce(segment_value, 'all') as segment_value,
if(is_gap, null, coalesce(sum(amount_usd) filter (where is_settled and kind = 'charge'), 0))::decimal(18,4) as charged_usd,
if(is_gap, null, coalesce(sum(amount_usd) filter (where is_settled and kind = 'refund'), 0))::decimal(18,4) as refunded_usd, if(is_gap, null, coalesce(sum(revenue_usd), 0))::decimal(18,4) as revenue_usd,
if(is_gap, null, count(distinct user_id) filter (where is_settled and kind = 'charge')) as paying_users, if(is_gap, null, count(*) filter (where is_settled and kind = 'charge')) as charge_count,
if(is_gap, null, count(*) filter (where is_settled and kind = 'refund')) as refund_count, if(is_gap, null, count(*) filter (where not is_settled)) as pending_count
from (select date_day, list_contains(cast({gaps} as date[]), date_day) as is_gap from dim_date) left join payments on date_day = paid_date
group by date_day, is_gap, segment_type, segment_value
