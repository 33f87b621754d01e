{# Each date of dim_time has all 1,440 minutes, so that facts find every minute of the day. #}
select date, count(*) as minutes
from {{ ref('dim_time') }}
group by date
having count(*) != 1440
